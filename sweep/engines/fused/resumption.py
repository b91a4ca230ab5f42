"""A trial's slot as a checkpoint, and back."""

import time
from typing import Any

import keras

from sweep.engines.checkpoint import Array, Checkpoint, Owner
from sweep.engines.fused.adapters import Adapter
from sweep.engines.fused.slot import Slot

Tree = Any

_STATE, _KEPT = "state", "kept"


def checkpoint_of(
    slot: Slot, state: Tree, owner: Owner, device: str, adapter: Adapter
) -> Checkpoint:
    """The checkpoint of a trial between two epochs.

    What it draws needs no place in it: that follows from seed and epoch.

    Args:
        slot: The trial.
        state: Its state on the device, arrays (1, ...).
        owner: What the checkpoint belongs to.
        device: Label of the device.
        adapter: Of the backend.
    """
    arrays = _named(_STATE, adapter.to_host(state))
    if slot.kept is not None:
        arrays |= _named(_KEPT, adapter.to_host(slot.kept))
    return Checkpoint(
        owner=owner,
        epoch=slot.course.epochs,
        seconds=time.perf_counter() - slot.started,
        device=device,
        state=slot.course.state(),
        arrays=arrays,
        remark=slot.remark,
    )


def resume(slot: Slot, checkpoint: Checkpoint, owner: Owner, adapter: Adapter) -> None:
    """Let a trial that has not begun go on from a checkpoint.

    Args:
        slot: The trial.
        checkpoint: What `checkpoint_of` gave.
        owner: What it must belong to.
        adapter: Of the backend.

    Raises:
        CheckpointError: It belongs to something else.
    """
    checkpoint.must_belong_to(owner)
    fresh = slot.initial_state()
    kept = {name: fresh[name] for name in ("weights", "moving")}
    expected = _named(_STATE, fresh)
    has_kept = any(name.startswith(f"{_KEPT}/") for name in checkpoint.arrays)
    if has_kept:
        expected |= _named(_KEPT, kept)
    arrays = checkpoint.arrays_like(expected)
    slot.course.restore(checkpoint.state)
    slot.started -= checkpoint.seconds
    slot.remark = checkpoint.remark
    slot.resumed = _tree(_STATE, fresh, arrays)
    slot.kept = adapter.to_device(_tree(_KEPT, kept, arrays)) if has_kept else None


def _named(prefix: str, tree: Tree) -> dict[str, Array]:
    """The arrays of a tree by their paths."""
    return {
        "/".join([prefix, *map(str, path)]): array
        for path, array in keras.tree.flatten_with_path(tree)
    }


def _tree(prefix: str, like: Tree, arrays: dict[str, Array]) -> Tree:
    """A tree of arrays, from what `_named` gave."""
    return keras.tree.pack_sequence_as(like, [arrays[name] for name in _named(prefix, like)])
