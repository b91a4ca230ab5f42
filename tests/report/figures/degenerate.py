"""Studies at the edge of what a study can be, with all that a run leaves behind."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

from report_studies import epoch_row, failed_row, frames_of, layer_rows_of, run_row, trial_row

from sweep.report.frames import StudyFrames

START = datetime.fromtimestamp(1.8e9, UTC)
ACTIVATIONS = ("relu", "selu", "swish")
GOALS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "": {},
    "two objectives, ": {
        "metrics": ("val_accuracy", "seconds_per_epoch"),
        "directions": ("maximize", "minimize"),
    },
    "minimised, ": {"metrics": ("val_loss",), "directions": ("minimize",)},
}


def timed(number: int, seconds: float = 20.0) -> dict[str, Any]:
    """When a trial was trained, and by whom."""
    begun = START + timedelta(seconds=10.0 * number)
    worker = {"worker": f"cpu{number % 2}", "device": f"cpu:{number % 2}"}
    return {"started": begun, "ended": begun + timedelta(seconds=seconds)} | worker


def varied(number: int) -> dict[str, Any]:
    return {
        "activation": ACTIVATIONS[number % 3],
        "optimizer": ("sgd", "adam")[number % 2],
        "momentum": (0.0, 0.9)[number // 2 % 2],
        "learning_rate": 10.0 ** -(1 + number % 4),
        "dropout": ("none", "dropout")[number % 2],
        "dropout_rate": 0.1 * (number % 5),
        "batch_norm": ("none", "before", "after")[number % 3],
    }


def study(
    rows: list[dict[str, Any]],
    accuracy: Callable[[int], float | None] = lambda number: 0.3 + number / 100,
    layers: Mapping[str, float | None] | None = None,
    **about: Any,
) -> StudyFrames:
    """A study whose trials have two epochs and a network of three hidden layers each."""
    trained = [row["number"] for row in rows if row["epochs"]]
    epochs = [epoch_row(n, e, accuracy(n)) for n, e in product(trained, (1, 2))]
    inspected = [row for n in trained for row in layer_rows_of(n, 3, **(layers or {}))]
    alive = {"host": "host", "engine": "fused", "ready_at": START, "ended_at": None}
    workers = [
        {"worker": f"cpu{i}", "pid": 1, "device": f"cpu:{i}", "end_reason": None} | alive
        for i in range(2)
    ]
    runs = [run_row(0, 200)] if rows else []
    return frames_of(rows, epochs, inspected, workers=workers, runs=runs, **about)


def values(goal: Mapping[str, tuple[str, ...]], *of: float) -> list[float]:
    return list(of[: len(goal.get("metrics", "_"))])


def complete(number: int, goal: Any, value: float, **changes: Any) -> dict[str, Any]:
    about = {"values": values(goal, value, 3.0 - value), "config": varied(number)}
    return trial_row(number, **(about | timed(number) | changes))


def empty(goal: Any) -> StudyFrames:
    return study([], **goal)


def one_trial(goal: Any) -> StudyFrames:
    return study([complete(0, goal, 0.4)], **goal)


def all_failed(goal: Any) -> StudyFrames:
    return study([failed_row(n, config=varied(n), **timed(n)) for n in range(6)], **goal)


def all_pruned(goal: Any) -> StudyFrames:
    pruned = {"state": "PRUNED", "stop_reason": "pruned"}
    return study([complete(n, goal, 0.2 + n / 50, **pruned) for n in range(12)], **goal)


def constant(goal: Any) -> StudyFrames:
    return study([complete(n, goal, 0.1) for n in range(12)], lambda _: 0.1, **goal)


def one_level(goal: Any) -> StudyFrames:
    rows = [complete(n, goal, 0.4 + n / 100, config={}) for n in range(12)]
    return study(rows, **goal)


def one_setting(goal: Any) -> StudyFrames:
    config = [{"activation": ACTIVATIONS[n % 3]} for n in range(12)]
    return study([complete(n, goal, 0.4 + n / 100, config=config[n]) for n in range(12)], **goal)


def all_diverged(goal: Any) -> StudyFrames:
    """Nothing that was measured is a number."""
    rows = [complete(n, goal, 0.1, stop_reason="diverged", kept_epoch=0) for n in range(12)]
    nothing = {"mean": None, "std": None, "dead": None, "gradient_norm": None}
    return study(rows, lambda _: None, nothing, **goal)


def without_numbers(goal: Any) -> StudyFrames:
    """Complete trials whose objective and layers are not finite."""
    rows = [complete(n, goal, 0.1, values=values(goal, float("inf"), 1.0)) for n in range(8)]
    return study(rows, layers={"mean": None, "std": None, "gradient_norm": None}, **goal)


def in_no_time(goal: Any) -> StudyFrames:
    rows = [complete(n, goal, 0.4 + n / 100, **timed(n, 0.0), seconds=0.0) for n in range(6)]
    return study([row | {"started": START, "ended": START} for row in rows], **goal)


def dead(goal: Any) -> StudyFrames:
    """Networks that learn nothing: no gradient, every unit dead, every weight zero."""
    nothing = {"mean": 0.0, "std": 0.0, "dead": 1.0, "gradient_norm": 0.0}
    rows = [complete(n, goal, 0.1 + n / 1e4, zero_weights=1.0) for n in range(8)]
    return study(rows, lambda _: 0.1, nothing, **goal)


KINDS = (
    empty,
    one_trial,
    all_failed,
    all_pruned,
    constant,
    one_level,
    one_setting,
    all_diverged,
    without_numbers,
    in_no_time,
    dead,
)
DEGENERATE: Mapping[str, Callable[[], StudyFrames]] = {
    f"{prefix}{kind.__name__.replace('_', ' ')}": lambda kind=kind, goal=goal: kind(goal)  # type: ignore[misc]
    for prefix, goal in GOALS.items()
    for kind in KINDS
}
