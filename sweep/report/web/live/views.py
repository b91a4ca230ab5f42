"""What the page shows of a study, as JSON: parts by name, each sent anew only when it changes.

| name | value |
|---|---|
| `study` | what stays the same: objective, data, budget |
| `counts` | how many trials are where |
| `best` | the incumbent, or null |
| `worker:ID`, `run:ID` | a process; a run |
| `slot:N` | a running trial: how far it is |
| `outcome:N`, `config:N` | outcome and settings of a trial whose curve is shown |
| `problem:N` | a pruned, diverged or failed trial, and why |
| `thinning` | of how many ended trials `history` holds every how-manieth, and the `latest` |

| name | list |
|---|---|
| `curve:N` | the metric after each epoch |
| `history` | ended trials in the order of their end: number, value, outcome |
| `steps` | the incumbents: number, value, when, place among the ended trials |
| `messages` | the log: when, level, trial, worker, text |
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from sweep.report.web.live.picture import LiveTrial, Picture
from sweep.report.web.live.speed import living
from sweep.report.web.live.terms import Terms

MOST_RUNNING: Final = 40
MOST_ENDED: Final = 19
MOST_PROBLEMS: Final = 40
MOST_LATEST: Final = 50
MOST_HISTORY: Final = 500
MOST_WORKERS: Final = 40
MOST_RUNS: Final = 10
RUN_ENDED: Final = "the run ended"
Parts = dict[str, Any]


def shown(picture: Picture) -> dict[int, LiveTrial]:
    """Trials whose curves are shown: those in training, the last ended ones, the incumbent."""
    running = list(picture.running())[-MOST_RUNNING:]
    trained = (n for n in reversed(picture.ended) if picture.trials[n].epochs)
    ended = [number for number, _ in zip(trained, range(MOST_ENDED), strict=False)]
    best = [picture.best.number] if picture.best else []
    numbers = sorted({*(trial.number for trial in running), *ended, *best})
    return {number: picture.trials[number] for number in numbers}


def values(picture: Picture, configs: Mapping[int, str], terms: Terms) -> Parts:
    """Everything but `study` and `counts` that is not a list."""
    on_page = shown(picture)
    parts: Parts = {"best": _best(picture, configs), "thinning": _thinning(picture)}
    for number, trial in on_page.items():
        parts[f"outcome:{number}"] = trial.outcome
        parts[f"config:{number}"] = configs.get(number, "")
        if trial.outcome == "running":
            parts[f"slot:{number}"] = _slot(picture, trial, terms)
    parts |= {f"worker:{row['worker_id']}": _worker(picture, row) for row in _workers(picture)}
    parts |= {f"run:{row['run_id']}": _run(picture, row) for row in picture.news.runs[-MOST_RUNS:]}
    problems = (n for n in reversed(picture.ended) if picture.trials[n].outcome != "complete")
    for number, _ in zip(problems, range(MOST_PROBLEMS), strict=False):
        parts[f"problem:{number}"] = _problem(picture.trials[number], terms)
    return parts


def lists(picture: Picture, terms: Terms) -> dict[str, list[Any]]:
    """The lists."""
    curves = {
        f"curve:{number}": [_short(value) for value in terms.followed(picture.curves[number])]
        for number in shown(picture)
        if number in picture.curves
    }
    return {
        **curves,
        "history": _history(picture),
        "steps": [[s.number, s.value, s.ended, s.place] for s in picture.steps],
        "messages": [
            [m["logged_at"], m["level"], m["number"], m["worker"], m["message"]]
            for m in picture.messages
        ],
    }


def _best(picture: Picture, configs: Mapping[int, str]) -> Parts | None:
    if picture.best is None:
        return None
    number = picture.best.number
    trial = picture.trials[number]
    return {
        "number": number,
        "values": trial.values,
        "epochs": trial.epochs,
        "ended": trial.ended,
        "config": configs.get(number, ""),
    }


def _slot(picture: Picture, trial: LiveTrial, terms: Terms) -> Parts:
    curve = picture.curves.get(trial.number)
    known = [] if curve is None else terms.followed(curve)
    return {
        "worker": trial.worker,
        "run": trial.run_id,
        "epoch": trial.epochs,
        "attempt": trial.attempt,
        "value": known[-1] if known else None,
        "seconds": curve and curve.seconds,
        "reported": curve and curve.reported_at,
        "started": trial.started,
    }


def _workers(picture: Picture) -> list[dict[str, Any]]:
    """Those that live, and those that were lost; where none lives, those of the last run."""
    rows = picture.news.workers
    alive = {run["run_id"] for run in living(picture)}
    last = rows[-1]["run_id"] if rows else None
    return [
        row
        for row in rows
        if (row["ended_at"] is None and row["run_id"] in alive)
        or row["end_reason"] != RUN_ENDED
        or (not alive and row["run_id"] == last)
    ][-MOST_WORKERS:]


def _worker(picture: Picture, row: Mapping[str, Any]) -> Parts:
    alive = {run["run_id"] for run in living(picture)}
    in_slots = [
        trial
        for trial in picture.running()
        if trial.run_id == row["run_id"] and trial.worker == row["worker"]
    ]
    timed = [picture.curves[t.number].seconds for t in in_slots if t.number in picture.curves]
    seconds = [s for s in timed if s is not None]
    is_alive = row["ended_at"] is None and row["run_id"] in alive
    lost = "its run stopped renewing its lease" if row["ended_at"] is None else row["end_reason"]
    return {
        **{name: row[name] for name in ("worker", "device", "host", "pid", "engine")},
        "ready": row["ready_at"],
        "ended": row["ended_at"],
        "reason": None if is_alive else lost,
        "is_lost": not is_alive and lost != RUN_ENDED,
        "trials": [trial.number for trial in in_slots] if is_alive else [],
        "epochs": [trial.epochs for trial in in_slots] if is_alive else [],
        "seconds": sum(seconds) / len(seconds) if seconds and is_alive else None,
    }


def _run(picture: Picture, row: Mapping[str, Any]) -> Parts:
    busy = row["training_seconds"] + row["compiling_seconds"] + row["idle_seconds"]
    return {
        **{name: row[name] for name in ("host", "pid", "workers")},
        "started": row["started_at"],
        "ended": row["ended_at"],
        "expires": row["expires_at"],
        "trials": sum(1 for run_id in picture.news.holders.values() if run_id == row["run_id"]),
        "training": row["training_seconds"] / busy if busy else None,
    }


def _problem(trial: LiveTrial, terms: Terms) -> Parts:
    return {
        "outcome": trial.outcome,
        "epochs": trial.epochs,
        "value": trial.values[0] if trial.values else None,
        "ended": trial.ended,
        "reason": why(trial, terms),
    }


def why(trial: LiveTrial, terms: Terms) -> str:
    """Why a trial did not train to its end, in a few words."""
    pruner = terms.spec.pruner.name
    reasons = {
        "pruned": f"behind the others, by the rule of the pruner `{pruner}`",
        "diverged": "loss or weights were no longer finite, or far too large",
        "failed": trial.error or "no reason was kept",
    }
    reason = reasons[trial.outcome]
    return f"{reason} ({trial.remark})" if trial.remark else reason


def _stride(picture: Picture) -> int:
    """Every how-manieth ended trial is in the history: 1, 2, 4 and so on."""
    stride = 1
    while len(picture.ended) > stride * MOST_HISTORY:
        stride *= 2
    return stride


def _thinning(picture: Picture) -> Parts:
    stride = _stride(picture)
    latest = picture.ended[-MOST_LATEST:] if stride > 1 else []
    return {
        "ended": len(picture.ended),
        "stride": stride,
        "latest": [_point(picture.trials[number]) for number in latest],
    }


def _history(picture: Picture) -> list[list[Any]]:
    return [_point(picture.trials[number]) for number in picture.ended[:: _stride(picture)]]


def _point(trial: LiveTrial) -> list[Any]:
    value = trial.values[0] if trial.values else math.nan
    return [trial.number, _short(value), trial.outcome]


def _short(number: float | None) -> float | None:
    """Five digits, so that a curve stays small; None if it is not finite."""
    if number is None or not math.isfinite(number):
        return None
    return float(f"{number:.5g}")
