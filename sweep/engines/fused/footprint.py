"""How much of the device's memory a slot takes."""

from sweep.engines.fused.images import FEATURES
from sweep.engines.fused.key import FusionKey
from sweep.engines.fused.optimizers import FAMILIES

# Signals of a layer that are alive at once: inputs of the gradient and what it computes on.
_SIGNALS = 4


def slot_bytes(key: FusionKey, classes: int, itemsize: int) -> int:
    """Most bytes of one slot while its program runs: an estimate from the arrays' sizes.

    The weights and the optimizer's moments are there twice, before and after the call, and the
    gradient once; the rest are the images and signals of one batch.

    Args:
        key: The structure.
        classes: Number of classes.
        itemsize: Bytes of a number.
    """
    hidden = key.width * (key.width + 3) * (key.depth - 1)
    weights = key.width * (FEATURES + 3) + hidden + classes * (key.width + 1)
    copies = 2 * (1 + FAMILIES[key.optimizer].moments) + 1 + int(key.is_sparse)
    signals = _SIGNALS * key.batch_size * (key.depth * key.width + FEATURES)
    return itemsize * (copies * weights + signals)
