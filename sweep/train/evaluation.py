"""A trained network on the test split."""

import json
import os
import pickle
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from sweep.data import DataRef, open_split
from sweep.errors import SweepError
from sweep.executors.inheritance import without_secrets

BATCH_SIZE = 1000
SMALLEST_PROBABILITY = 1e-7


@dataclass(frozen=True, slots=True)
class TestFigures:
    """How well a network does on images that took no part in its making.

    Attributes:
        loss: Mean cross-entropy, without label smoothing and penalties.
        accuracy: Share of images classified right.
        images: Number of images.
    """

    __test__ = False  # no test of pytest's

    loss: float
    accuracy: float
    images: int


def has_test_split(data: DataRef) -> bool:
    """Whether the data has a test split."""
    return (data.directory / "test_images.npy").exists()


def evaluate(model: Path, data: DataRef, backend: str, log: Path) -> TestFigures:
    """Evaluate a `.keras` file on the test split, in a process of its own.

    So this process never loads Keras, which would print a lot and take a GPU's memory.

    Args:
        model: The file; it takes raw pixels.
        data: The images.
        backend: What Keras runs on.
        log: File for what the process prints besides.

    Raises:
        SweepError: The process failed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "sweep.train.evaluation", str(model)]
    with log.open("wb") as stderr:
        done = subprocess.run(
            command,
            input=pickle.dumps(data),
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**without_secrets(os.environ), "KERAS_BACKEND": backend},
            check=False,
        )
    if done.returncode != 0:
        last = log.read_text(errors="replace").strip().splitlines()[-10:]
        raise SweepError(
            "the network could not be evaluated on the test split",
            where=str(model),
            received="\n".join([f"exit status {done.returncode}", *last]),
            next_step=f"the network and its history are saved; the whole log is {log}",
        )
    return TestFigures(**json.loads(done.stdout.splitlines()[-1]))


def figures_of(model: Path, data: DataRef) -> TestFigures:
    """Load a `.keras` file and evaluate it on the test split, in this process."""
    import keras

    test = open_split(data, "test")
    network = keras.models.load_model(model, compile=False)
    probabilities = network.predict(test.images, batch_size=BATCH_SIZE, verbose=0)
    of_label = probabilities[np.arange(len(test)), test.labels].astype(np.float64)
    return TestFigures(
        loss=float(-np.log(np.maximum(of_label, SMALLEST_PROBABILITY)).mean()),
        accuracy=float((probabilities.argmax(axis=1) == test.labels).mean()),
        images=len(test),
    )


if __name__ == "__main__":
    figures = figures_of(Path(sys.argv[1]), pickle.load(sys.stdin.buffer))
    sys.stdout.write(json.dumps(asdict(figures)) + "\n")
