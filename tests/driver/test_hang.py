"""A trial that hangs in its engine: its worker is killed, and the user reads why."""

from pathlib import Path

import pytest
import softmax_engine as faults
from study_host import Host, Listener, study_of

from sweep.driver import run_study
from sweep.executors.process import ProcessExecutor
from sweep.store import Store

STUDY = """
study: hanging
data: {name: synthetic}
fixed: {epochs: 1, batch_size: 32}
search: {depth: [%d, 20]}
budget: {trials: 2}
sampler: {name: grid}
"""


@pytest.mark.parametrize(
    ("depth", "reason"),
    [
        (faults.HANGS, "hung, without progress for 1 seconds"),
        # Compiled code that keeps the interpreter to itself silences the heartbeat too.
        (faults.HOLDS_INTERPRETER, "hung, without a heartbeat for 2 seconds"),
    ],
)
def test_a_trial_that_hangs_twice_fails_with_the_reason(
    tmp_path: Path, depth: int, reason: str
) -> None:
    host, listener = Host(tmp_path), Listener()
    data = host.data()
    executor = ProcessExecutor(
        "faulty",
        data,
        workers=1,
        log_dir=tmp_path / "logs",
        stall_seconds=1.0,
        heartbeat_seconds=2.0,
        factory=host.factory,
    )
    with Store.open(host.url) as store:
        progress = run_study(
            study_of(STUDY % depth),
            store=store,
            executor=executor,
            data=data,
            watcher=listener,
            artifacts=host.artifacts,
            stop=listener.stop,
        )
        (failed,) = store.trial_rows("hanging", failed_only=True)
        row = store.trial_row("hanging", failed["number"])
    assert (progress.complete, progress.failed) == (1, 1)
    assert row is not None
    assert row["attempt"] == 2
    assert row["error"] == f"worker lost in attempt 2: {reason}"
    assert "most recent call first" in row["log"], "the stacks of its threads"
    assert listener.messages.count(f"worker cpu0 {reason}; a new one takes its place") == 2


def test_a_trial_that_hung_tells_its_engine_the_second_time(tmp_path: Path) -> None:
    """So that it can train some other way; its engine here hangs once only."""
    host, listener = Host(tmp_path), Listener()
    data = host.data()
    executor = ProcessExecutor(
        "faulty",
        data,
        workers=1,
        log_dir=tmp_path / "logs",
        stall_seconds=1.0,
        factory=host.factory,
    )
    with Store.open(host.url) as store:
        progress = run_study(
            study_of(STUDY % faults.HANGS_ONCE),
            store=store,
            executor=executor,
            data=data,
            watcher=listener,
            artifacts=host.artifacts,
            stop=listener.stop,
        )
        attempts = [row["attempt"] for row in store.trial_rows("hanging")]
    assert (progress.complete, progress.failed) == (2, 0)
    assert sorted(attempts) == [1, 2]
