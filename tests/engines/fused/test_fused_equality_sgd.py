"""The fused engine computes what Keras's `fit` does: SGD, plain and with momentum."""

from combinations import SGD
from engine_contract import KERAS_READS_VARIABLES
from equality_contract import Equality

pytestmark = KERAS_READS_VARIABLES


class TestSgdOptimizers(Equality):
    """All of them."""

    optimizers = SGD
