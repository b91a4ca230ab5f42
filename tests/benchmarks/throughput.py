"""How fast does `sweep` train, beside what a user of Keras would write?

    python tests/benchmarks/throughput.py --data-dir DIR --out FILE
    python tests/benchmarks/throughput.py --device gpu --data-dir DIR --out FILE

On a CPU every round trains the same trials three times, one rival after the other, and every
measurement keeps all cores busy:

    user   one process on all cores: Optuna's `optimize` around plain Keras `fit`
    jit    Keras with XLA, an epoch in one execution, a pinned process of one thread on each core
    sweep  this program: a pinned worker on each core, through its executor

The trials mix activations, initializers, batch normalisation, dropout and optimizers; each round
has new ones. Building, compiling and slow first epochs count for all; starting processes, loading
libraries and reading the images count for none. `sweep` begins without a compiled program; one
that it compiled in one round serves later ones, as in any study. Then the reference network
trains with and without dropout and batch normalisation, beside the floor of this machine (see
floor.py). Ratios are taken within a round; the result is their median. Five rounds take about 25
minutes and want the machine alone.

On a GPU, or with --slots, the fused engine trains cohorts of several sizes beside Keras `fit` on
the same device and backend: JAX on a GPU unless KERAS_BACKEND says otherwise. That needs neither
TensorFlow nor Optuna. Without --data-dir the images are uniform random bytes.
"""

import argparse
import json
import logging
import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from throughput_machine import machine
from throughput_trials import TRAIN_IMAGES, images

from sweep.executors.devices import find_gpus

SLOTS = (1, 8, 32, 64, 128, 256, 512)


def main() -> int:
    """Run what the command line asks for."""
    arguments = parse()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    on_gpu = arguments.device == "gpu"
    os.environ.setdefault("KERAS_BACKEND", "jax" if on_gpu else "tensorflow")
    if not on_gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    with tempfile.TemporaryDirectory() as scratch:
        data = images(arguments.data_dir, arguments.images, Path(scratch))
        # No program is compiled yet, as on a machine that is new to `sweep`.
        os.environ["SWEEP_CACHE_DIR"] = str(Path(scratch) / "cache")
        facts = machine() | {
            "backend": os.environ["KERAS_BACKEND"],
            "images": data.name,
            "train_images": data.train[1] - data.train[0],
            "validation_images": data.validation[1] - data.validation[0],
        }
        settings = {name: value for name, value in vars(arguments).items() if name != "data_dir"}
        result = Result(arguments.out, facts | {"settings": settings | {"out": None}})
        if on_gpu or arguments.slots:
            from throughput_slots import compare_slots

            compare_slots(arguments, data, result)
            if arguments.out and find_spec("plotly"):
                from throughput_figure import write_figure

                write_figure(result.facts, arguments.out.with_suffix(".html"))
        else:
            from throughput_rounds import compare_rivals

            compare_rivals(arguments, data, Path(scratch), result)
    return 0


class Result:
    """What was measured so far, on disk after every step: a broken run leaves what it had."""

    def __init__(self, path: Path | None, facts: dict[str, Any]) -> None:
        """Begin with what is known before; `path` is the JSON file, None for no file."""
        self._path = path
        self.facts = facts

    def update(self, **facts: Any) -> None:
        """Add facts, or replace them, and write the file."""
        self.facts |= facts
        if self._path is not None:
            self._path.write_text(json.dumps(self.facts, indent=1) + "\n")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--data-dir", type=Path, help="where CIFAR-10 lies")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--images", type=int, default=TRAIN_IMAGES, help="training images")
    parser.add_argument("--engine", default="fused", help="engine of `sweep` (CPU)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds (CPU)")
    parser.add_argument("--trials", type=int, default=2, help="trials of a round (CPU)")
    parser.add_argument("--epochs", type=int, default=10, help="epochs of a trial (CPU)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the trials (CPU)")
    parser.add_argument(
        "--slots",
        type=lambda text: tuple(map(int, text.split(","))),
        help=f"sizes of cohorts, {','.join(map(str, SLOTS))} on a GPU",
    )
    parser.add_argument(
        "--variants", help="structures: those whose names begin so, for example `adam` (slots)"
    )
    arguments = parser.parse_args()
    if arguments.device == "gpu":
        if not find_gpus():
            parser.error("this machine has no GPU, or CUDA_VISIBLE_DEVICES hides it")
        arguments.slots = arguments.slots or SLOTS
    return arguments


if __name__ == "__main__":
    sys.exit(main())
