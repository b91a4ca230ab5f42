"""One run of a study, from its database to its workers."""

from pathlib import Path

from sweep.budget import SHARED_ENDINGS
from sweep.data import DataRef
from sweep.driver.ledger import Ledger
from sweep.driver.loop import Loop
from sweep.driver.notify import Notifier, tell_finish
from sweep.driver.progress import Progress, Watcher
from sweep.driver.provenance import study_record
from sweep.driver.sampling import check_sampler, make_pruner
from sweep.driver.source import Grouping, TrialSource
from sweep.driver.stop import StopFlag
from sweep.driver.timing import TimeKeeper
from sweep.executors.base import Executor
from sweep.executors.places import place_of
from sweep.space import SearchSpace
from sweep.spec.model import StudySpec
from sweep.store import Store


def run_study(
    spec: StudySpec,
    *,
    store: Store,
    executor: Executor,
    data: DataRef,
    watcher: Watcher,
    artifacts: Path | str,
    stop: StopFlag,
    grouping: Grouping | None = None,
    notifier: Notifier | None = None,
    waits: bool = True,
) -> Progress:
    """Run a study, or what is left of it, until its budget is used up, alone or beside others.

    Epochs are written while the next ones train, a trial's checkpoint before the one after it: a
    kill at any moment costs at most the epochs of the trials in training since their last
    checkpoints, from which the next call lets them go on under their numbers.
    Trials are asked for ahead, so that no slot waits for the sampler.

    Args:
        spec: The study.
        store: Where it is kept.
        executor: Who trains; started here if there is anything to train, and closed.
        data: What to train on.
        watcher: Is told how it goes.
        artifacts: Directory or `s3://BUCKET/PREFIX` for checkpoints and for the weights of the
            best trials; a directory is made.
        stop: Ends the run early.
        grouping: Trials of equal groups are preferably trained by the same worker; those that
            the study's engine trains in one program if not given.
        notifier: Tells others what happens; already started. Nobody is told if not given.
        waits: Stay until the study has ended, also while other runs hold all that is left of it.

    Returns:
        The last progress.

    Raises:
        UsageError: The sampler needs a package that is not installed, or nothing can be written to
            `artifacts`.
        SweepError: `artifacts` cannot be reached.
        StudyMismatchError: The study exists with another space, objective or data.
        StoreError: The database cannot be used.
        ExecutorError: Workers cannot be started or kept alive.
    """
    space = SearchSpace.from_spec(spec)
    check_sampler(spec)
    place = place_of(artifacts, spec.study)
    place.check()
    # Optuna's own calls meet full disks and locked files too.
    times = TimeKeeper(len(executor.workers))
    with store.translated():
        store.create_study(
            study_record(spec, data),
            directions=[o.direction for o in spec.objectives],
            metric_names=[o.metric for o in spec.objectives],
        )
    with store.driving(spec.study, times.split()) as run, store.translated():
        run.study.pruner = make_pruner(spec, run.finished)
        notifier = notifier or Notifier(spec.study, ())
        ledger = Ledger(spec, space, run, store, data, watcher, notifier, place)
        source = TrialSource(spec, space, run, store, grouping, place.address)
        loop = Loop(spec, run, ledger, source, executor, data, watcher, stop, times, waits=waits)
        loop.look_around()
        if loop.ending is not None:
            run.discard()
            return loop.progress()
        with executor:
            progress = loop.run()
        loop.tidy()
        ended = f"{progress.finished} of {progress.asked} trials: {progress.ending}"
        if progress.ending not in SHARED_ENDINGS or run.log_once(ended):
            tell_finish(notifier, progress, [objective.metric for objective in spec.objectives])
        return progress
