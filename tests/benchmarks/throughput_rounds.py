"""Rounds in which the rivals train the same trials in turn, and the floor beside them."""

import argparse
import logging
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import mean, median
from typing import Any, Protocol

from floor import Floor
from floor import summary as floor_summary
from throughput_process import CORES, BusyShare, wait_until_idle
from throughput_rivals import JitTeam, User
from throughput_team import Team, trial_rates
from throughput_trials import BATCH, TRAIN_IMAGES, Params, draw_trials, to_config

from sweep.data import DataRef
from sweep.engines.fused.key import fusion_key
from sweep.trial import TrialConfig

logger = logging.getLogger("throughput")

LONG_STUDY = 200
STEADY_EPOCHS = 4
# All of the reference network, with one thing added.
STEADY = {
    "plain": TrialConfig(learning_rate=1e-4, batch_size=BATCH, epochs=STEADY_EPOCHS),
    "dropout": TrialConfig(
        learning_rate=1e-4, batch_size=BATCH, epochs=STEADY_EPOCHS, dropout="dropout"
    ),
    "batch_norm": TrialConfig(
        learning_rate=1e-4, batch_size=BATCH, epochs=STEADY_EPOCHS, batch_norm="before"
    ),
}
# What is hoped for, and the worst that would do; (goal, limit, whether more is better).
GOALS = {
    "sweep_over_user": (5.0, 4.0, True),
    "sweep_over_jit": (2.0, 2.0, True),
    "epoch_over_floor": (1.6, 1.8, False),
    "dropout_over_plain": (1.2, 1.2, False),
}


class Reporter(Protocol):
    """Keeps what was measured."""

    def update(self, **facts: Any) -> None:
        """Add facts."""


def compare_rivals(
    arguments: argparse.Namespace, data: DataRef, scratch: Path, result: Reporter
) -> None:
    """Measure round by round, then print the medians."""
    trials = draw_trials(arguments.seed, arguments.rounds * arguments.trials)
    with ExitStack() as stack:
        logger.info("starting the processes")
        floor = stack.enter_context(closing(Floor()))
        user = stack.enter_context(closing(User(data, arguments.epochs, arguments.seed)))
        images = data.train[1] - data.train[0]
        steps, share = images // BATCH, images / TRAIN_IMAGES
        jit = stack.enter_context(closing(JitTeam(data, arguments.epochs, steps)))
        team = stack.enter_context(closing(Team(arguments.engine, data, scratch / "logs")))
        rounds: list[dict[str, Any]] = []
        for start in range(0, len(trials), arguments.trials):
            batch = trials[start : start + arguments.trials]
            rounds.append(_round(batch, arguments.epochs, user, jit, team, floor))
            _add_ratios(rounds[-1], share)
            medians = summary(rounds) | {
                "long_study": _long_study(rounds, arguments.seed, arguments.epochs)
            }
            result.update(rounds=rounds, summary=medians)
            say(rounds)
    say_summary(medians)


def _round(
    trials: Sequence[Params], epochs: int, user: User, jit: JitTeam, team: Team, floor: Floor
) -> dict[str, Any]:
    before = [_begin("user")]
    by_user = user.train(trials)
    before.append(_begin("jit"))
    by_jit = jit.train(trials)
    before.append(_begin("sweep"))
    busy = BusyShare()
    courses = team.train([to_config(params, epochs) for params in trials])
    by_sweep = trial_rates(courses, busy.value())
    before.append(_begin("floor"))
    measured = floor.measure()
    before.append(_begin("reference network"))
    steady = {
        name: [
            epoch for course in team.train([config] * team.size) for epoch in course.later_epochs
        ]
        for name, config in STEADY.items()
    }
    return {
        "trials": list(trials),
        "busy_before": before,
        "user": by_user,
        "jit": by_jit,
        "sweep": by_sweep,
        "floor": measured,
        "steady": steady,
    }


def _begin(name: str) -> float:
    """Let what went before come to rest: a worker may be starting afresh."""
    share = wait_until_idle()
    logger.info("%s", name)
    return share


def _add_ratios(one: dict[str, Any], share: float) -> None:
    """Compare what was measured in a round; the floor is that of all images, of which `share`."""
    user, jit, sweep = one["user"], one["jit"], one["sweep"]
    epoch = {name: median(seconds) for name, seconds in one["steady"].items()}
    one["ratios"] = {
        "sweep_over_user": sweep["trials_per_hour"] / user["trials_per_hour"],
        "sweep_over_user_compiled": sweep["trials_per_hour_compiled"] / user["trials_per_hour"],
        "sweep_over_jit": sweep["trials_per_hour"] / jit["trials_per_hour"],
        "epoch_over_floor": epoch["plain"] / (share * one["floor"]["seconds"]),
        "dropout_over_plain": epoch["dropout"] / epoch["plain"],
        "batch_norm_over_plain": epoch["batch_norm"] / epoch["plain"],
    }


def summary(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the rounds: of rates and of epochs, and of the ratios within a round."""
    rates = {
        rival: median(one[rival]["trials_per_hour"] for one in rounds)
        for rival in ("user", "jit", "sweep")
    }
    epochs = {
        name: median(median(one["steady"][name]) for one in rounds) for name in rounds[0]["steady"]
    }
    ratios = {name: median(one["ratios"][name] for one in rounds) for name in rounds[0]["ratios"]}
    return {
        "trials_per_hour": rates,
        "epoch_seconds_per_core": epochs,
        "floor": floor_summary([one["floor"] for one in rounds]),
        "ratios": ratios,
        "rounds": len(rounds),
    }


def _long_study(rounds: Sequence[dict[str, Any]], seed: int, epochs: int) -> dict[str, float]:
    """What the measured parts make of a study of many trials, where structures come again.

    Each worker compiles each structure once; the trials of the rounds are too few for that.
    """
    measured = [
        parts
        for one in rounds
        for parts in zip(
            one["sweep"]["trial_seconds"],
            one["sweep"]["compile_seconds"],
            one["sweep"]["is_first_of_structure"],
            strict=True,
        )
    ]
    training = mean(seconds - compiling for seconds, compiling, _ in measured)
    compiling = mean(compiling for _, compiling, is_first in measured if is_first)
    trials = draw_trials(seed, LONG_STUDY)
    structures = len({fusion_key(to_config(params, epochs)) for params in trials})
    trial = training + compiling * structures * len(CORES) / LONG_STUDY
    rate = 3600.0 * len(CORES) / trial
    return {
        "trials": LONG_STUDY,
        "structures": structures,
        "train_seconds": training,
        "compile_seconds": compiling,
        "trials_per_hour": rate,
        "over_user": rate / median(one["user"]["trials_per_hour"] for one in rounds),
        "over_jit": rate / median(one["jit"]["trials_per_hour"] for one in rounds),
    }


def say(rounds: Sequence[dict[str, Any]]) -> None:
    """Print the last round, under a heading if it is the first."""
    last = rounds[-1]
    if len(rounds) == 1:
        print_line("       trials per hour                        seconds of an epoch on a core")
        print_line(
            "round    user     jit   sweep  /user    /jit   plain dropout  b.norm   floor  busy"
        )
    rates = [last[rival]["trials_per_hour"] for rival in ("user", "jit", "sweep")]
    ratios = [last["ratios"][name] for name in ("sweep_over_user", "sweep_over_jit")]
    epochs = [median(last["steady"][name]) for name in STEADY] + [last["floor"]["seconds"]]
    busy = min(last[rival]["busy"] for rival in ("user", "jit", "sweep"))
    print_line(
        f"{len(rounds):5} "
        + "".join(f"{value:8.1f}" for value in rates)
        + "".join(f"{value:7.2f} " for value in ratios)
        + "".join(f"{value:8.3f}" for value in epochs)
        + f"{busy:6.0%}"
    )


def say_summary(result: dict[str, Any]) -> None:
    """Print the medians of the ratios beside what is hoped for."""
    print_line(f"\nmedian of {result['rounds']} rounds")
    for name, ratio in result["ratios"].items():
        verdict = ""
        if name in GOALS:
            goal, limit, more = GOALS[name]
            reached = [ratio >= mark if more else ratio <= mark for mark in (goal, limit)]
            word = (
                "reached" if reached[0] else "missed, within the limit" if reached[1] else "MISSED"
            )
            verdict = f"goal {goal:g}, limit {limit:g}: {word}"
        print_line(f"{name.replace('_', ' '):26} {ratio:6.2f}   {verdict}")
    study = result["long_study"]
    print_line(
        f"\nreckoned from these for a study of {study['trials']} trials of {study['structures']} "
        f"structures, each compiled once by each worker:\n"
        f"{study['trials_per_hour']:.0f} trials per hour, "
        f"{study['over_user']:.2f} times the user's, {study['over_jit']:.2f} times jit's"
    )
    print_line("\nfloor, seconds of a trial-epoch on a core")
    for term, seconds in result["floor"]["terms"].items():
        print_line(f"  {term:34} {seconds:7.4f}")
    print_line(f"  {'all':34} {result['floor']['seconds']:7.4f}")


def print_line(line: str) -> None:
    """Print one line of the result at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
