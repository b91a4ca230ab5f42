"""Do our networks learn what others published for them? Trains the shipped fixed studies and says.

    python tests/benchmarks/fidelity.py baseline --data-dir DIR
    python tests/benchmarks/fidelity.py published --data-dir DIR

`baseline`: the first five validation accuracies of studies/baseline.yaml, mean of three seeds,
beside those of the published notebook. `published`: each study of studies/published once, its best
validation accuracy beside the published one. The reference engine trains unless --engine says
otherwise. Every core trains; DIR holds CIFAR-10. The figures go to standard output and, as JSON,
to the file that --output names.
"""

import argparse
import json
import logging
import platform
import sys
import tempfile
from collections import defaultdict, deque
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import mean
from typing import Any

from sweep.data import prepare
from sweep.driver.objective import kept_epoch
from sweep.errors import SweepError
from sweep.executors.base import (
    CohortReported,
    Directive,
    Retirement,
    TrialFailed,
    TrialRetired,
    WorkerLost,
    WorkerReady,
)
from sweep.executors.process import ProcessExecutor
from sweep.space import SearchSpace
from sweep.spec import load_study
from sweep.spec.model import StudySpec
from sweep.trial import EpochReport, TrialConfig, TrialTask, trial_seed

STUDIES = Path(__file__).parents[2] / "studies"
NOTEBOOK = (0.216, 0.295, 0.292, 0.325, 0.357)
NOTEBOOK_TOLERANCE = 0.04
PUBLISHED = {
    "1_swish": 0.468,
    "2_batch_norm": 0.507,
    "3_selu": 0.503,
    "4_alpha_dropout": 0.498,
    "5_one_cycle": 0.524,
}

Curves = dict[int, list[EpochReport]]
logger = logging.getLogger("fidelity")


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=("baseline", "published"))
    parser.add_argument("--data-dir", type=Path, help="where CIFAR-10 lies")
    parser.add_argument("--engine", choices=("reference", "fused"), default="reference")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    run = baseline if arguments.what == "baseline" else published
    outcome = run(arguments.data_dir, arguments.engine)
    outcome |= {"engine": arguments.engine} | machine()
    if arguments.output:
        arguments.output.write_text(json.dumps(outcome, indent=2) + "\n")
    return 0 if outcome.get("within_tolerance", True) else 1


def baseline(data_dir: Path | None, engine: str) -> dict[str, Any]:
    """Three seeds of the notebook's network for five epochs."""
    spec = load_study(STUDIES / "baseline.yaml", ["budget.epochs=5", f"engine={engine}"])
    tasks = [TrialTask(n, only_config(spec), trial_seed(spec.seed, n)) for n in range(3)]
    curves = train(spec, tasks, data_dir)
    ours = [mean(curve[i].val_accuracy for curve in curves.values()) for i in range(5)]
    say("epoch  notebook  ours (mean of 3)  difference")
    for epoch, (theirs, value) in enumerate(zip(NOTEBOOK, ours, strict=True), start=1):
        say(f"{epoch:5}  {theirs:8.3f}  {value:16.3f}  {value - theirs:+10.3f}")
    within = all(abs(a - b) <= NOTEBOOK_TOLERANCE for a, b in zip(NOTEBOOK, ours, strict=True))
    say(f"all within {NOTEBOOK_TOLERANCE}: {'yes' if within else 'NO'}")
    seeds = {task.seed: [r.val_accuracy for r in curves[task.number]] for task in tasks}
    return {"notebook": NOTEBOOK, "mean": ours, "seeds": seeds, "within_tolerance": within}


def published(data_dir: Path | None, engine: str) -> dict[str, Any]:
    """Each of the five published trainings once."""
    files = sorted((STUDIES / "published").glob("*.yaml"))
    specs = [load_study(file, [f"engine={engine}"]) for file in files]
    if {(spec.data, spec.seed) for spec in specs} != {(specs[0].data, specs[0].seed)}:
        raise AssertionError("the published studies share their data and seed")
    tasks = [
        TrialTask(n, only_config(spec), trial_seed(spec.seed, 0)) for n, spec in enumerate(specs)
    ]
    curves = train(specs[0], tasks, data_dir)
    say("study            published  ours   kept epoch  epochs")
    rows = {}
    for file, task in zip(files, tasks, strict=True):
        curve = curves[task.number]
        kept = curve[kept_epoch(task.config, curve) - 1]
        say(
            f"{file.stem:16} {PUBLISHED[file.stem]:9.3f}  {kept.val_accuracy:.3f}"
            f"  {kept.epoch:10}  {len(curve):6}"
        )
        rows[file.stem] = {
            "published": PUBLISHED[file.stem],
            "val_accuracy": kept.val_accuracy,
            "kept_epoch": kept.epoch,
            "epochs": len(curve),
            "curve": [round(r.val_accuracy, 4) for r in curve],
        }
    return {"studies": rows}


def only_config(spec: StudySpec) -> TrialConfig:
    """The configuration of a study that searches nothing."""
    return SearchSpace.from_spec(spec).config({})


def train(spec: StudySpec, tasks: Iterable[TrialTask], data_dir: Path | None) -> Curves:
    """Train the tasks to their ends, as many at once as there are cores."""
    data = prepare(spec.data, data_dir=data_dir, progress=logger.info)
    queue, curves = deque(tasks), defaultdict[int, list[EpochReport]](list)
    left = len(queue)
    with (
        tempfile.TemporaryDirectory() as logs,
        ProcessExecutor(spec.engine, data, log_dir=Path(logs)) as executor,
    ):
        while left:
            for event in executor.poll(1.0):
                match event:
                    case WorkerReady():
                        admit(executor, event.worker, queue)
                    case CohortReported(reports=(report,)):
                        curves[report.number].append(report)
                        logger.info("%s", report)
                        ended = () if report.finished is None else (report.finished,)
                        retire = tuple(Retirement(report.number, reason) for reason in ended)
                        executor.direct(event.worker, Directive(retire=retire))
                    case TrialRetired():
                        left -= 1
                        admit(executor, event.worker, queue)
                    case TrialFailed() | WorkerLost():
                        raise SweepError("a training broke", received=repr(event))
    return curves


def admit(executor: ProcessExecutor, worker: str, queue: deque[TrialTask]) -> None:
    """Give a worker the next task, if one is left."""
    if queue:
        executor.direct(worker, Directive(admit=(queue.popleft(),)))


def machine() -> dict[str, Any]:
    """Where and with what the figures were measured."""
    packages = ("sweep", "tensorflow", "keras", "numpy")
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in packages},
    }


def say(line: str) -> None:
    """Print one line of the result."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
