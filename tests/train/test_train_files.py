"""What a training leaves behind, however it ends; nothing is trained here."""

import csv
import json
import math
from pathlib import Path

import pytest
from scripted_executor import ScriptedExecutor, reports, untested_data

from sweep.data import DataRef
from sweep.errors import ExecutorError, TrialError, UsageError
from sweep.executors.base import TrialFailed, WorkerLost
from sweep.spec.config_file import TrialFile, load_trial_file
from sweep.spec.model import DataSpec
from sweep.train import TrainResult, train_trial_file
from sweep.trial import EpochReport, StopReason, TrialConfig

FILE = TrialFile(TrialConfig(depth=2, learning_rate=1e-5), 5, DataSpec(), "small", 4)


@pytest.fixture
def data(tmp_path: Path) -> DataRef:
    directory = tmp_path / "data"
    directory.mkdir()
    return untested_data(directory)


def run(
    executor: ScriptedExecutor, data: DataRef, output: Path, stop_after: int = 99
) -> tuple[TrainResult, list[EpochReport]]:
    seen: list[EpochReport] = []
    result = train_trial_file(
        FILE,
        data=data,
        output=output,
        on_epoch=seen.append,
        stop=lambda: len(seen) >= stop_after,
        executor=executor,
    )
    return result, seen


def test_a_training_leaves_network_history_curves_and_config(
    data: DataRef, tmp_path: Path
) -> None:
    planned = reports(0.2, 0.3, finished=StopReason.EARLY_STOPPING)
    executor = ScriptedExecutor(planned)
    output = tmp_path / "new" / "trained"
    trained, seen = run(executor, data, output)
    assert seen == planned == list(trained.reports)
    assert executor.closed
    assert executor.task is not None
    assert (executor.task.seed, executor.task.config) == (5, FILE.config)
    assert {path.name for path in trained.files} == {path.name for path in output.iterdir()}
    assert trained.result.reason is StopReason.EARLY_STOPPING
    assert load_trial_file(output / "config.yaml") == FILE
    assert (output / "model.keras").read_bytes() == b"network"
    with (output / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_accuracy"]) for row in rows] == [0.2, 0.3]
    assert [row["epoch"] for row in json.loads((output / "history.json").read_text())] == [1, 2]
    assert (trained.test, trained.no_test) == (None, "small has no test split")
    assert trained.comparison is None


def test_curves_need_no_network_and_say_what_they_were_trained_on(
    data: DataRef, tmp_path: Path
) -> None:
    run(ScriptedExecutor(reports(0.25, finished=StopReason.COMPLETED)), data, tmp_path / "out")
    page = (tmp_path / "out" / "curves.html").read_text()
    assert "FALLBACK" in page
    assert "weights of epoch 1" in page
    assert "<script src=" not in page


def test_a_diverged_training_keeps_its_history_and_no_network(
    data: DataRef, tmp_path: Path
) -> None:
    executor = ScriptedExecutor(reports(0.1, math.nan, finished=StopReason.DIVERGED))
    trained, _ = run(executor, data, tmp_path / "out")
    assert trained.result.weights is None
    assert trained.no_test == "the training diverged"
    assert not (tmp_path / "out" / "model.keras").exists()
    history = json.loads((tmp_path / "out" / "history.json").read_text())
    assert history[1]["val_accuracy"] is None


def test_a_training_that_is_asked_to_stop_keeps_what_it_has(data: DataRef, tmp_path: Path) -> None:
    executor = ScriptedExecutor(reports(0.1, 0.2, 0.3, finished=StopReason.COMPLETED))
    trained, seen = run(executor, data, tmp_path / "out", stop_after=2)
    assert len(seen) == 2
    assert trained.result.reason is StopReason.INTERRUPTED
    assert trained.no_test == "the training was interrupted"
    assert (tmp_path / "out" / "model.keras").exists()


@pytest.mark.parametrize(
    ("death", "error"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt),
        (WorkerLost("cpu0", (4,), "was killed by SIGKILL", "the last words"), ExecutorError),
        (TrialFailed("cpu0", 4, "MemoryError: none left", "Traceback", ""), TrialError),
    ],
    ids=["interrupt", "worker", "trial"],
)
def test_what_was_trained_before_a_bad_end_is_kept(
    death: KeyboardInterrupt | WorkerLost | TrialFailed,
    error: type[BaseException],
    data: DataRef,
    tmp_path: Path,
) -> None:
    executor = ScriptedExecutor(reports(0.1, 0.2, finished=None), death)
    with pytest.raises(error) as caught:
        run(executor, data, tmp_path / "out")
    assert executor.closed
    assert len(json.loads((tmp_path / "out" / "history.json").read_text())) == 2
    assert (tmp_path / "out" / "curves.html").exists()
    if error is ExecutorError:
        assert "killed by SIGKILL" in str(caught.value)
        assert "the last words" in str(caught.value)


def test_a_directory_with_files_is_left_alone(data: DataRef, tmp_path: Path) -> None:
    executor = ScriptedExecutor(reports(0.1, finished=StopReason.COMPLETED))
    (tmp_path / "precious").write_text("text")
    with pytest.raises(UsageError, match="not empty") as caught:
        run(executor, data, tmp_path)
    assert "precious" in str(caught.value)
    assert executor.task is None
