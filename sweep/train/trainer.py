"""A config from file to trained network."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sweep.data import DataRef
from sweep.errors import SweepError, UsageError
from sweep.executors.base import Executor
from sweep.spec.config_file import TrialFile
from sweep.train.comparison import Comparison, compare
from sweep.train.curves import write_curves
from sweep.train.drive import train_alone
from sweep.train.evaluation import TestFigures, evaluate, has_test_split
from sweep.train.record import write_config, write_history
from sweep.trial import EpochReport, StopReason, TrialResult, TrialTask

MODEL, CONFIG, CURVES, LOGS = "model.keras", "config.yaml", "curves.html", "logs"
HISTORY_JSON, HISTORY_CSV = "history.json", "history.csv"


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What came of a training.

    Attributes:
        result: Reason of its end, epochs, kept epoch, device and time. `result.weights` names the
            network's file; None if the training diverged.
        reports: Every epoch.
        test: Figures on the test split; None for the reason in `no_test`.
        no_test: Why there are no test figures; empty if there are.
        comparison: The validation curve beside that of the trial; None if there is none to expect.
        files: Everything written.
    """

    result: TrialResult
    reports: tuple[EpochReport, ...]
    test: TestFigures | None
    no_test: str
    comparison: Comparison | None
    files: tuple[Path, ...]


def train_trial_file(
    trial_file: TrialFile,
    *,
    data: DataRef,
    output: Path,
    on_epoch: Callable[[EpochReport], None],
    stop: Callable[[], bool] = lambda: False,
    executor: Executor | None = None,
) -> TrainResult:
    """Train a config with its engine, evaluate it once on the test split, and save all.

    It trains in a worker process set up like those of a sweep (pinned to a core with one thread,
    or on one GPU), so that on the same machine its figures are those of the trial. What was
    trained before an error or a `KeyboardInterrupt` stays in the history files.

    Args:
        trial_file: What to train.
        data: What to train on.
        output: Directory for the network, history, curves and config; made if missing.
        on_epoch: Told of every epoch.
        stop: Asked after every epoch whether to end here, with the weights kept so far and
            without a test.
        executor: Has the worker that trains; one on this machine's first device if None.

    Raises:
        UsageError: `output` holds files already.
        SweepError: It cannot be written.
        ExecutorError: The worker cannot be started, or was lost.
        TrialError: The training failed.
    """
    _make_directory(output)
    write_config(output / CONFIG, trial_file)
    reports: list[EpochReport] = []

    def take(report: EpochReport) -> None:
        reports.append(report)
        on_epoch(report)

    task = TrialTask(number=trial_file.trial or 0, config=trial_file.config, seed=trial_file.seed)
    try:
        with executor or _local_executor(trial_file, data, output) as running:
            result = train_alone(running, task, save_to=output / MODEL, on_epoch=take, stop=stop)
        test, no_test = _test(result, data, trial_file.backend, output / LOGS)
    except BaseException:
        if reports:
            write_history(output / HISTORY_JSON, output / HISTORY_CSV, reports)
            write_curves(output / CURVES, trial_file, data, reports, 0, None)
        raise
    write_history(output / HISTORY_JSON, output / HISTORY_CSV, reports)
    write_curves(output / CURVES, trial_file, data, reports, result.kept_epoch, test)
    names = [*([MODEL] if result.weights else []), CONFIG, HISTORY_JSON, HISTORY_CSV, CURVES]
    return TrainResult(
        result=result,
        reports=tuple(reports),
        test=test,
        no_test=no_test,
        comparison=compare(trial_file, data, result, reports),
        files=tuple(output / name for name in names),
    )


def _make_directory(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
        in_the_way = sorted(path.name for path in output.iterdir())
    except OSError as error:
        raise SweepError(
            "the directory cannot be used", where=str(output), received=str(error)
        ) from error
    if in_the_way:
        raise UsageError(
            "the directory is not empty",
            where=str(output),
            expected="a new or empty directory",
            received=", ".join(in_the_way[:5]) + (", ..." if len(in_the_way) > 5 else ""),
            next_step="name another one, or remove this one first",
        )


def _local_executor(trial_file: TrialFile, data: DataRef, output: Path) -> Executor:
    from sweep.executors.process import ProcessExecutor

    return ProcessExecutor(
        trial_file.engine,
        data,
        backend=trial_file.backend,
        workers=1,
        log_dir=output / LOGS,
    )


def _test(
    result: TrialResult, data: DataRef, backend: str, logs: Path
) -> tuple[TestFigures | None, str]:
    if result.reason is StopReason.INTERRUPTED:
        return None, "the training was interrupted"
    if result.weights is None:
        return None, "the training diverged"
    if not has_test_split(data):
        return None, f"{data.name} has no test split"
    return evaluate(Path(result.weights), data, backend, logs / "test.log"), ""
