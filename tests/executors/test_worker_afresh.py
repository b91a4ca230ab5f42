"""A worker that has grown becomes a new process image between two trials, and nobody notices."""

import sys
from pathlib import Path

from executor_contract import Conversation, metrics, task
from softmax_engine import FaultyEngine

from sweep.data import DataRef
from sweep.engines.base import Engine
from sweep.executors.base import CohortReported, Directive, Retirement, TrialRetired, WorkerReady
from sweep.executors.process import ProcessExecutor
from sweep.trial import StopReason

COMPLETED = StopReason.COMPLETED


def make_engine_in_little_memory(name: str, data: DataRef, device: str) -> Engine:
    """The factory of workers that count any memory as too much."""
    sys.modules["__main__"]._MOST_RESIDENT_BYTES = 0  # type: ignore[attr-defined]
    return FaultyEngine(data, device, 1)


def trained(
    conversation: Conversation, number: int, retire: tuple[Retirement, ...]
) -> CohortReported:
    """The report of one epoch of a trial, which is retired by the next directive."""
    directive = Directive(retire, (task(number, epochs=1),))
    conversation.executor.direct("cpu0", directive)
    if retire:
        assert conversation.expect(TrialRetired).result.number == retire[0].number
    event = conversation.expect(CohortReported)
    assert [report.number for report in event.reports] == [number]
    return event


def test_trials_before_and_after_are_reported_alike(data: DataRef, tmp_path: Path) -> None:
    log = tmp_path / "cpu0.log"
    with ProcessExecutor(
        "faulty",
        data,
        workers=1,
        log_dir=tmp_path,
        factory="test_worker_afresh:make_engine_in_little_memory",
    ) as executor:
        conversation = Conversation(executor)
        conversation.expect(WorkerReady)
        first = trained(conversation, 0, ())
        for _ in range(3):
            executor.direct("cpu0", Directive(retire=(Retirement(0, COMPLETED),)))
            assert conversation.expect(TrialRetired).result.number == 0
            again = trained(conversation, 0, ())
            assert metrics(list(again.reports)) == metrics(list(first.reports))
            assert again.compile_seconds > 0.05, "it tells of its start"
        assert log.read_text().count("starting afresh") == 3
        # Beside a trial that follows at once, the worker goes on as it is.
        trained(conversation, 1, (Retirement(0, COMPLETED),))
        assert log.read_text().count("starting afresh") == 3
