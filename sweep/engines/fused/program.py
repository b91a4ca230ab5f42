"""One epoch of a cohort as one function: shuffled steps, then validation.

Notation, trees of device arrays:
    data        train_images (image, feature) uint8, train_labels (image,) int32, and val_...
    state       weights and moving (see `layout`), moments (a tree like the weights for
                each of the optimizer's moments), and for sparse kernels their masks
    settings    numbers of the slots, see `settings.slot_settings`; the slot is the first axis
    inputs      of the steps of the epoch, see `settings.epoch_inputs`; (step, slot, ...)
    tally       per slot: loss, correct (sums over images), images, and alive: not yet diverged
    bounds      first step, last step + 1, batches of validation: int32
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keras import ops

from sweep.engines.fused import images as pictures
from sweep.engines.fused.adapters import Adapter
from sweep.engines.fused.key import FusionKey
from sweep.engines.fused.layout import kernels_of
from sweep.engines.fused.network import Network, columns
from sweep.engines.fused.optimizers import FAMILIES

Tensor = Any
Tree = Any

VALIDATION_BATCH = 250
_EPSILON = 1e-7


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the data decides of a program: images of the splits, and classes."""

    train_images: int
    val_images: int
    classes: int

    def steps(self, batch_size: int) -> int:
        """Training steps of an epoch, the last partial batch counted."""
        return -(-self.train_images // batch_size)

    @property
    def val_batches(self) -> int:
        """Batches of validation."""
        return -(-self.val_images // VALIDATION_BATCH)


def epoch_program(key: FusionKey, sizes: Sizes, adapter: Adapter) -> Callable[..., Tree]:
    """The function (data, state, settings, inputs, tally, bounds) -> (state, tally, val_tally).

    Steps run until the last one or until every slot has diverged. A slot that diverges stops
    counting; its neighbours are not touched. The caller compiles the function.

    Args:
        key: The structure of all slots.
        sizes: Of the data.
        adapter: Takes gradients.
    """

    def epoch(
        data: Tree, state: Tree, settings: Tree, inputs: Tree, tally: Tree, bounds: Tensor
    ) -> tuple[Tree, Tree, Tree]:
        masks = state.get("masks")

        def is_going_on(i: Tensor, trained: Tree, tally: Tree) -> Tensor:
            return ops.logical_and(i < bounds[1], ops.any(tally["alive"]))

        def step(i: Tensor, trained: Tree, tally: Tree) -> tuple[Tensor, Tree, Tree]:
            row = {name: ops.take(array, i, axis=0) for name, array in inputs.items()}
            batch = _batch(key, sizes, data, settings, row, i)
            network = Network(
                key, trained["weights"], trained["moving"], settings,
                batch["mask"], batch["dropout_keys"], is_training=True,
            )  # fmt: skip
            h, trace = network.forward(batch["x"])
            above = {name: trained["weights"][name] for name in ("output", "output_bias")}
            gradient, result = adapter.gradient(
                lambda at: _loss(sizes, network.logits(at["h"], at), settings, batch),
                {"h": h, **above},
            )
            dh = gradient.pop("h")
            gradient |= network.gradient(adapter, batch["x"], trace, dh)
            if key.is_penalised:
                gradient = _penalised(gradient, trained["weights"], settings["penalty"])
                penalty = _penalty(trained["weights"], settings["penalty"])
                result["losses"] = result["losses"] + penalty
            if key.is_clipped:
                gradient = _clipped(gradient, settings["clip_norm"])
            weights, moments = _update(key, trained, gradient, settings, row["update"])
            if key.is_sparse or key.has_max_norm:
                weights = _constrained(key, weights, masks, settings["max_norm"])
            trained = {"weights": weights, "moments": moments, "moving": trace.moving}
            return i + 1, trained, _counted(tally, result, batch, settings["loss_limit"])

        trained = {name: state[name] for name in ("weights", "moments", "moving")}
        _, trained, tally = ops.while_loop(is_going_on, step, (bounds[0], trained, tally))
        val_tally = _validate(key, sizes, data, trained, settings, bounds[2])
        return {**state, **trained}, tally, val_tally

    return epoch


def _batch(
    key: FusionKey, sizes: Sizes, data: Tree, settings: Tree, row: Tree, i: Tensor
) -> dict[str, Tensor]:
    """The inputs of step i; `mask` and the number of `images` tell a last partial batch."""
    index = row["index"]
    if key.is_augmented:
        pixels = pictures.take_augmented(data["train_images"], index, row["flips"], row["shifts"])
    else:
        pixels = pictures.take(data["train_images"], index)
    x = pictures.scale(pixels, settings["factor"], settings["offset"])
    batch = {"x": x, "labels": ops.take(data["train_labels"], index, axis=0)}
    batch["dropout_keys"] = None
    if key.dropout_layers:
        batch["dropout_keys"] = ops.swapaxes(row["dropout_keys"], 0, 1)
    left = ops.minimum(sizes.train_images - i * key.batch_size, key.batch_size)
    batch["images"] = ops.cast(left, x.dtype)
    batch["mask"] = None
    if sizes.train_images % key.batch_size:
        batch["mask"] = ops.cast(ops.arange(key.batch_size, dtype="int32") < left, x.dtype)
    return batch


def _loss(sizes: Sizes, logits: Tensor, settings: Tree, batch: Tree) -> tuple[Tensor, Tree]:
    """The sum of the slots' losses, without penalties; the loss of each, and right answers."""
    losses, correct = _judged(sizes, logits, batch["labels"], settings, batch["mask"])
    losses = losses / batch["images"]
    return ops.sum(losses), {"losses": losses, "correct": correct}


def _judged(
    sizes: Sizes, logits: Tensor, labels: Tensor, settings: Tree, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Sums over the images of a batch, (slot,): cross-entropy, and right answers.

    Args:
        sizes: Of the data.
        logits: (slot, class, batch).
        labels: (slot, batch) or (1, batch).
        settings: Numbers of the slots.
        mask: (batch,) which columns count; None for all.
    """
    share = settings["label_smoothing"][:, None, None]
    classes = ops.arange(sizes.classes, dtype="int32")[None, :, None]
    target = ops.cast(ops.equal(labels[:, None, :], classes), logits.dtype)
    target = target * (1 - share) + share / sizes.classes
    entropy = -ops.sum(target * ops.log_softmax(logits, axis=1), axis=1)
    answers = ops.cast(ops.argmax(logits, axis=1), "int32")
    is_right = ops.cast(ops.equal(answers, labels), logits.dtype)
    if mask is not None:
        entropy, is_right = entropy * mask, is_right * mask
    return ops.sum(entropy, axis=-1), ops.sum(is_right, axis=-1)


def _penalty(weights: Tree, numbers: Tensor) -> Tensor:
    """L1 and L2 penalties of the hidden kernels, (slot,)."""
    kernels = [weights[name] for name in kernels_of(weights)]
    sizes = sum(_total(ops.abs(w)) for w in kernels)
    squares = sum(_total(ops.square(w)) for w in kernels)
    return numbers[:, 0] * sizes + numbers[:, 1] * squares


def _penalised(gradient: Tree, weights: Tree, numbers: Tensor) -> Tree:
    """The gradient with that of the penalties."""
    l1, l2 = columns(numbers)
    kernels = {
        name: gradient[name] + (l1 * ops.sign(weights[name]) + 2 * l2 * weights[name])
        for name in kernels_of(weights)
    }
    return {**gradient, **kernels}


def _clipped(gradient: Tree, limit: Tensor) -> Tree:
    """The gradient of each slot, shortened to a norm of at most `limit`."""
    norm = ops.sqrt(sum(_total(ops.square(g)) for g in gradient.values()))
    factor = (limit * ops.minimum(1 / norm, 1 / limit))[:, None, None]
    return {name: g * factor for name, g in gradient.items()}


def _total(array: Tensor) -> Tensor:
    """The sum over all but the slot.

    In two stages, the second a product: XLA adds up a whole matrix one number after the other.
    """
    rows = ops.sum(array, axis=-2)[..., None, :]
    sums = ops.matmul(rows, ops.ones((rows.shape[-1], 1), rows.dtype))[..., 0, 0]
    return ops.sum(sums, axis=0) if len(sums.shape) > 1 else sums


def _update(
    key: FusionKey, trained: Tree, gradient: Tree, settings: Tree, numbers: Tensor
) -> tuple[Tree, list[Tree]]:
    family = FAMILIES[key.optimizer]
    c, k = columns(numbers), columns(settings["optimizer"])
    weights: dict[str, Tensor] = {}
    moments: list[dict[str, Tensor]] = [{} for _ in trained["moments"]]
    for name, w in trained["weights"].items():
        before = [arrays[name] for arrays in trained["moments"]]
        weights[name], after = family.update(w, gradient[name], before, c, k)
        for arrays, moment in zip(moments, after, strict=True):
            arrays[name] = moment
    return weights, moments


def _constrained(key: FusionKey, weights: Tree, masks: Tree | None, limit: Tensor) -> Tree:
    """The weights with the zeros of sparse hidden kernels kept, then with limited norms."""
    kernels = {}
    for name in kernels_of(weights):
        w = weights[name] if masks is None else weights[name] * masks[name]
        if key.has_max_norm:
            norm = ops.sqrt(ops.sum(ops.square(w), axis=-1, keepdims=True))
            wanted = ops.minimum(norm, limit[:, None, None])
            w = w * (wanted / (_EPSILON + norm))
        kernels[name] = w
    return {**weights, **kernels}


def _counted(tally: Tree, result: Tree, batch: Tree, limit: Tensor) -> Tree:
    """The tally after a step; slots that have diverged before count no more."""
    is_alive = tally["alive"]
    counts = ops.cast(is_alive, limit.dtype) * batch["images"]
    images = tally["images"] + counts
    loss = ops.where(is_alive, tally["loss"] + result["losses"] * batch["images"], tally["loss"])
    correct = ops.where(is_alive, tally["correct"] + result["correct"], tally["correct"])
    # A comparison with NaN is false.
    is_fine = loss <= limit * images
    return {
        "loss": loss,
        "correct": correct,
        "images": images,
        "alive": ops.logical_and(is_alive, is_fine),
    }


def _validate(
    key: FusionKey, sizes: Sizes, data: Tree, trained: Tree, settings: Tree, batches: Tensor
) -> Tree:
    """Loss and right answers over the validation split, sums (slot,); the penalty apart."""
    places = ops.arange(VALIDATION_BATCH, dtype="int32")
    network = Network(
        key, trained["weights"], trained["moving"], settings, None, None, is_training=False
    )

    def batch(j: Tensor, loss: Tensor, correct: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        index = j * VALIDATION_BATCH + places
        mask = None
        if sizes.val_images % VALIDATION_BATCH:
            mask = ops.cast(index < sizes.val_images, loss.dtype)
            index = ops.minimum(index, sizes.val_images - 1)
        pixels = pictures.take(data["val_images"], index[None, :])
        x = pictures.scale(pixels, settings["factor"], settings["offset"])
        logits = network.logits(network.forward(x)[0], trained["weights"])
        labels = ops.take(data["val_labels"], index, axis=0)[None, :]
        entropy, right = _judged(sizes, logits, labels, settings, mask)
        return j + 1, loss + entropy, correct + right

    zero = ops.zeros_like(settings["loss_limit"])
    start = ops.zeros_like(batches)
    _, loss, correct = ops.while_loop(
        lambda j, loss, correct: j < batches, batch, (start, zero, zero)
    )
    penalty = zero
    if key.is_penalised:
        penalty = _penalty(trained["weights"], settings["penalty"])
    return {"loss": loss, "correct": correct, "penalty": penalty}
