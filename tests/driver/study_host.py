"""A study on real worker processes with the numpy engine; as a program, to be killed.

Arguments of the program: a directory (it holds everything), the number of workers, the factory of
engines, and the place of artifacts if they are not to lie there too. The study file is in the
directory: `study.yaml`.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from colour_data import write_data

from sweep.data import DataRef
from sweep.driver import Progress, StopFlag, run_study
from sweep.driver.source import Grouping
from sweep.executors.process import ProcessExecutor
from sweep.spec import parse_study
from sweep.spec.model import StudySpec
from sweep.store import Store

STUDY = """
study: colours
data: {name: synthetic}
fixed: {epochs: 6, batch_size: 32}
search:
  activation: [relu, selu, tanh]
  optimizer: [sgd, adam]
  momentum: {low: 0.0, high: 0.99, when: {optimizer: sgd}}
  learning_rate: {low: 1.0e-4, high: 1.0, log: true}
budget: {trials: 12}
sampler: {name: tpe, startup_trials: 4}
pruner: {name: median, startup_trials: 3}
keep_weights: 2
"""


@dataclass
class Listener:
    """A watcher that remembers, and can act on what it hears."""

    stop: StopFlag = field(default_factory=StopFlag)
    stop_after_epochs: int | None = None
    messages: list[str] = field(default_factory=list)
    updates: list[Progress] = field(default_factory=list)

    def update(self, progress: Progress) -> None:
        self.updates.append(progress)
        if self.stop_after_epochs is not None and progress.trial_epochs >= self.stop_after_epochs:
            self.stop.request()

    def message(self, text: str) -> None:
        self.messages.append(text)


@dataclass
class Host:
    """One directory with a database, data and artifacts, and the runs of a study in it."""

    directory: Path
    factory: str = "softmax_engine:make_engine"
    engine: str = "softmax"
    grouping: Grouping | None = None
    place: str | None = None

    @property
    def url(self) -> str:
        return f"sqlite:///{self.directory / 'studies.db'}"

    @property
    def artifacts(self) -> Path:
        return self.directory / "artifacts"

    def data(self, images: int = 250) -> DataRef:
        directory = self.directory / "data"
        directory.mkdir(exist_ok=True)
        return write_data(directory, images=images, side=6)

    def run(self, spec: StudySpec, listener: Listener | None = None, workers: int = 1) -> Progress:
        listener = listener or Listener()
        data = self.data()
        executor = ProcessExecutor(
            self.engine,
            data,
            workers=workers,
            log_dir=self.directory / "logs",
            factory=self.factory,
        )
        with Store.open(self.url) as store:
            return run_study(
                spec,
                store=store,
                executor=executor,
                data=data,
                watcher=listener,
                artifacts=self.place or self.artifacts,
                stop=listener.stop,
                grouping=self.grouping,
            )

    def store(self) -> Store:
        return Store.open(self.url, create=False)


def study_of(text: str = STUDY, *overrides: str) -> StudySpec:
    return parse_study(text, overrides=overrides)


if __name__ == "__main__":
    home = Path(sys.argv[1])
    host = Host(home, factory=sys.argv[3], place=sys.argv[4] if sys.argv[4:] else None)
    host.run(study_of((home / "study.yaml").read_text()), workers=int(sys.argv[2]))
