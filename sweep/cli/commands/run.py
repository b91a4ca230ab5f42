"""`sweep run`."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sweep.cli.advice import warn_of
from sweep.cli.command import (
    DEFAULT_STORAGE,
    INTERRUPTED,
    SweepCommand,
    artifacts_option,
    data_dir_option,
    json_option,
    notify_options,
    set_option,
    storage_option,
)
from sweep.cli.executors import check_executor, make_executor
from sweep.cli.output import note, print_fields, print_json, warn
from sweep.cli.text import differences, duration, metric, plural, short, time_split

if TYPE_CHECKING:
    from sweep.driver.notify import EventKind, Notifier
    from sweep.driver.progress import Progress
    from sweep.executors.base import Executor
    from sweep.spec.model import StudySpec
    from sweep.store import Store


@click.command(
    cls=SweepCommand,
    examples=(
        "sweep run studies/quickstart.yaml",
        "sweep run study.yaml --set budget.trials=24 --set budget.epochs=5 --workers 2",
        "sweep run study.yaml --executor ray --address 10.0.0.5:6379",
    ),
)
@click.argument("file", type=click.Path(path_type=Path))
@set_option
@storage_option
@data_dir_option
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Worker processes; one for each GPU or physical core if not given.",
)
@click.option(
    "--executor",
    type=click.Choice(["process", "ray"]),
    default="process",
    show_default=True,
    help="Where they run: on this machine, or on a Ray cluster.",
)
@click.option(
    "--address",
    metavar="ADDRESS",
    help="Of the Ray cluster; if not given RAY_ADDRESS, that of this machine, or a new one.",
)
@artifacts_option
@notify_options
@json_option
def command(
    file: Path,
    overrides: tuple[str, ...],
    storage: str,
    data_dir: Path | None,
    workers: int | None,
    executor: str,
    address: str | None,
    artifacts: str | None,
    notify_webhook: str | None,
    notify_command: str | None,
    notify_on: tuple["EventKind", ...],
    as_json: bool,
) -> int:
    """Run the study in FILE until its budget is spent, or resume it.

    Several runs of a study, also on other machines, share its trials; more join at any time.
    Ctrl-C once finishes the running epochs, saves and says how to resume; twice leaves at once.
    Progress goes to standard error, the winner to standard output.
    """
    from sweep.budget import Ending
    from sweep.cli.notices import notify_targets
    from sweep.cli.selection import opened
    from sweep.data import prepare
    from sweep.driver.notify import Notifier
    from sweep.driver.stop import StopFlag
    from sweep.executors.backends import check_backend
    from sweep.executors.places import place_of
    from sweep.executors.s3_address import is_s3
    from sweep.spec import load_study
    from sweep.store import Wanted, artifacts_directory

    spec = load_study(file, overrides)
    warn_of(spec)
    check_backend(spec.backend)
    check_executor(executor, address)
    targets = notify_targets(notify_webhook, notify_command)
    notifier = Notifier(spec.study, targets, notify_on, on_trouble=warn)
    place = artifacts or artifacts_directory(storage)
    # An address or settings that cannot be used are known before data is fetched.
    place_of(place, spec.study)
    data = prepare(spec.data, data_dir=data_dir, progress=note)
    if data.is_fallback:
        warn(
            f"training on {data.name} data, in place of {spec.data.name}: its figures say nothing"
        )
    stop = StopFlag()
    # No study has this name, so that no study's weights lie there.
    directory = artifacts_directory(storage) if is_s3(str(place)) else Path(place)
    logs = directory / "_logs" / spec.study
    with opened(storage, create=True) as store:
        store.queue.want(spec.study, Wanted.RUN)
        with closing(make_executor(executor, address, workers, spec, data, logs)) as team:
            progress = _search(spec, store, data, place, team, stop, notifier)
        winner = _winner(store, spec, progress)
    interrupted = stop.requested and progress.finished < progress.asked
    if as_json:
        print_json(_document(spec, progress, winner, storage, interrupted))
    else:
        _print_end(spec, progress, winner, storage)
    if progress.ending is not Ending.TRIALS:
        options = {
            "--data-dir": data_dir,
            "--workers": workers,
            "--executor": None if executor == "process" else executor,
            "--address": address,
            "--artifacts": artifacts,
        }
        _print_rest(progress, _resume_command(file, overrides, storage, options))
    return INTERRUPTED if interrupted else 0


def _print_rest(progress: "Progress", resume: str) -> None:
    """Say why a run ended before all trials were finished, and how to go on."""
    from sweep.budget import Ending

    why, more = {
        Ending.INTERRUPTED: ("stopped", ""),
        Ending.WALL: ("out of time", " --set budget.wall_seconds=TIME"),
        Ending.GPU_HOURS: ("out of GPU hours", " --set budget.gpu_hours=HOURS"),
        Ending.TARGET: ("the target is reached", " --set budget.target=VALUE"),
    }.get(progress.ending or Ending.INTERRUPTED, (progress.ending, ""))
    how = "; to resume, with more" if more else "; to resume"
    if progress.ending is Ending.TARGET:
        how = "; to search on, for more"
    note(f"{why} with {progress.finished} of {progress.asked} trials finished{how}:")
    note(f"  {resume}{more}")


def _search(
    spec: "StudySpec",
    store: "Store",
    data: Any,
    place: Path | str,
    executor: "Executor",
    stop: Any,
    notifier: "Notifier",
) -> "Progress":
    from sweep.cli.frame import Frame
    from sweep.cli.interrupt import winding_down
    from sweep.cli.watch import make_watcher
    from sweep.driver.run import run_study

    frame = Frame(spec.fixed, spec.search, tuple(o.metric for o in spec.objectives))
    watcher = make_watcher(frame)
    with watcher, winding_down(stop), notifier:
        return run_study(
            spec,
            store=store,
            executor=executor,
            data=data,
            watcher=watcher,
            artifacts=place,
            stop=stop,
            notifier=notifier,
        )


def _winner(store: "Store", spec: "StudySpec", progress: "Progress") -> dict[str, Any] | None:
    best = progress.best
    if best is None:
        return None
    row = store.trial_row(spec.study, best.number) or {}
    metrics = (objective.metric for objective in spec.objectives)
    return {
        "trial": best.number,
        "values": dict(zip(metrics, best.values, strict=True)),
        "changes": differences(best.config, spec.fixed, spec.search),
        "config": best.config.to_dict(),
        "seconds": row.get("seconds"),
        "epochs": row.get("epochs"),
        "weights": row.get("weights"),
    }


def _document(
    spec: "StudySpec",
    progress: "Progress",
    winner: dict[str, Any] | None,
    storage: str,
    interrupted: bool,
) -> dict[str, Any]:
    return {
        "study": spec.study,
        "data": progress.data,
        "trials": {
            "asked": progress.asked,
            "finished": progress.finished,
            "complete": progress.complete,
            "diverged": progress.diverged,
            "pruned": progress.pruned,
            "failed": progress.failed,
        },
        "seconds": progress.seconds,
        "time": asdict(progress.time),
        "trial_epochs": progress.trial_epochs,
        "interrupted": interrupted,
        "ending": progress.ending and progress.ending.name.lower(),
        "best": winner,
    }


def _print_end(
    spec: "StudySpec", progress: "Progress", winner: dict[str, Any] | None, storage: str
) -> None:
    diverged = f" ({progress.diverged} diverged)" if progress.diverged else ""
    note(
        f"{progress.finished} of {progress.asked} trials in {duration(progress.seconds)}: "
        f"{progress.complete} complete{diverged}, {progress.pruned} pruned, "
        f"{progress.failed} failed"
    )
    if split := time_split(progress.time):
        note(f"time of {plural(progress.time.workers, 'worker')}: {split}")
    if progress.failed:
        note(f"  why: sweep trials {spec.study} --failed    again: sweep retry")
    if winner is None:
        note("no trial was completed, so there is no winner")
        return
    values = ", ".join(f"{name} {metric(value)}" for name, value in winner["values"].items())
    click.secho(f"winner: trial {winner['trial']} with {values}", bold=True)
    print_fields(
        {
            "data": progress.data,
            "epochs": winner["epochs"],
            "time": duration(winner["seconds"]),
            **{name: short(value) for name, value in winner["changes"].items()},
        },
        indent="  ",
    )
    option = "" if storage == DEFAULT_STORAGE else f" --storage {_typed(storage)}"
    click.echo("next:")
    for line in (
        f"sweep dashboard{option}",
        f"sweep report {spec.study}{option} -o report.html",
        f"sweep export {spec.study}{option} -o best.yaml",
        "sweep train best.yaml",
    ):
        click.echo(f"  {line}")


def _typed(storage: str) -> str:
    """The storage as a person types it, a password replaced by its variable."""
    import shlex

    from sweep.store import safe_url

    if "***" in safe_url(storage):
        return '"$SWEEP_STORAGE"'
    return shlex.quote(storage.removeprefix("sqlite:///"))


def _resume_command(
    file: Path, overrides: tuple[str, ...], storage: str, options: Mapping[str, object]
) -> str:
    import shlex

    words = ["sweep", "run", shlex.quote(str(file))]
    for override in overrides:
        words += ["--set", shlex.quote(override)]
    if storage != DEFAULT_STORAGE:
        words += ["--storage", _typed(storage)]
    for name, value in options.items():
        if value is not None:
            words += [name, shlex.quote(str(value))]
    return " ".join(words)
