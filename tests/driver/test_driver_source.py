"""Where several runs of one study take their trials from."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from study_host import Host, study_of

from sweep.driver.provenance import study_record
from sweep.driver.source import OpenTrial, TrialSource
from sweep.space import SearchSpace
from sweep.store import BudgetSpentError, Store, StudyRun
from sweep.store.records import TimeSplit

GRID = """
study: grid
data: {name: synthetic}
fixed: {epochs: 2}
search:
  activation: [relu, selu, tanh]
  optimizer: [sgd, adam]
  depth: [1, 2]
sampler: {name: grid}
budget: {trials: 100}
"""
COMBINATIONS = 12


class Sources:
    """Runs of the study `GRID`, and where their trials come from."""

    def __init__(self, store: Store) -> None:
        self.spec = study_of(GRID)
        self.store = store
        self.space = SearchSpace.from_spec(self.spec)

    def of(self, run: StudyRun) -> TrialSource:
        run.limit(COMBINATIONS)
        return TrialSource(self.spec, self.space, run, self.store, None, "artifacts")


@pytest.fixture
def sources(tmp_path: Path) -> Iterator[Sources]:
    host = Host(tmp_path)
    with Store.open(host.url) as store:
        sources = Sources(store)
        record = study_record(sources.spec, host.data())
        store.create_study(record, ["maximize"], ["val_accuracy"])
        yield sources


def drive(store: Store, stack: ExitStack) -> StudyRun:
    return stack.enter_context(store.driving("grid", TimeSplit(1, *[0.0] * 6)))


def combination(open_trial: OpenTrial) -> tuple[object, ...]:
    config = open_trial.config
    return config.activation, config.optimizer, config.depth


def test_runs_try_each_combination_of_a_grid_exactly_once(sources: Sources) -> None:
    tried = []
    with ExitStack() as stack:
        runs = [sources.of(drive(sources.store, stack)) for _ in range(3)]
        with ExitStack() as ended:
            # One that ends before its trials do; one of them was asked for and has no parameters.
            run = drive(sources.store, ended)
            source = sources.of(run)
            left = [combination(*source.next()) for _ in range(2)]
            run.storage.create_counted_trial("grid_index")
        assert runs[0].take_over(9) == 3
        while runs:
            source = runs.pop(0)
            try:
                tried.append(combination(*source.next()))
            except BudgetSpentError:
                continue
            runs.append(source)
    assert tried[0] == left[0]
    assert (len(tried), len(set(tried))) == (COMBINATIONS, COMBINATIONS)


def test_a_trial_that_was_lost_before_it_began_is_not_begun(sources: Sources) -> None:
    with ExitStack() as stack:
        run, other = (drive(sources.store, stack) for _ in range(2))
        with ExitStack() as ended:
            left = sources.of(drive(sources.store, ended)).next()[0]
        source = sources.of(run)
        assert source.take_over(9) == 1
        with sources.store._database.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE sweep_runs SET expires_at = '2000-01-01'")
        assert [t.number for t in other.take_over(9)] == [left.task.number]
        run.pull()
        assert source.next()[0].task.number == left.task.number + 1
        assert run.take_lost() == {left.task.number}
