"""The fused engine computes what Keras's `fit` does: optimizers that adapt to the gradient."""

from combinations import ADAPTIVE
from engine_contract import KERAS_READS_VARIABLES
from equality_contract import Equality

pytestmark = KERAS_READS_VARIABLES


class TestAdaptiveOptimizers(Equality):
    """All of them."""

    optimizers = ADAPTIVE
