"""How fast this machine's own arithmetic lets the reference network train: a bound, per core.

    python tests/benchmarks/floor.py [--rounds 5]

Seconds of a trial-epoch on one core while every other core does the same:

    625 x (sum over the products of a training step of count x seconds
           + bytes the optimizer moves / speed of memory at that footprint
           + gathering 64 images as numbers)
    + 40 x (sum over the products of a validation batch of count x seconds
            + turning 250 images into numbers)

It holds 20 layers of 100 units, 40,000 + 10,000 images, batch 64, Adam. Each matrix product
counts with the best of numpy's BLAS and XLA's dot, one thread, in the best of eight layouts: more
than a program can have, which chooses one for all. Activations, biases, loss, metrics and
launches are left out.

Adam reads weight, gradient and both moments and writes all but the gradient: 7 numbers for each
weight. The speed of memory is the best of three loops over arrays of that size.
"""

import argparse
import sys
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

from throughput_process import CORES, SPAWN, Child
from throughput_rivals import READY
from throughput_trials import BATCH

VALIDATION_BATCH, FEATURES, WIDTH, CLASSES, HIDDEN = 250, 3072, 100, 10, 19
STEPS, VALIDATION_STEPS = 625, 40
PARAMETERS = FEATURES * WIDTH + HIDDEN * WIDTH**2 + WIDTH * CLASSES + 20 * WIDTH + CLASSES
ADAM_BYTES = 7 * 4 * PARAMETERS


@dataclass(frozen=True, slots=True)
class Product:
    """A matrix product: (rows, inner) times (inner, columns).

    Attributes:
        name: Layer and use.
        rows, inner, columns: Its sizes.
        count: How often a step does it.
        in_training: Whether the step is one of training; otherwise one of validation.
    """

    name: str
    rows: int
    inner: int
    columns: int
    count: int
    in_training: bool = True

    @property
    def calls(self) -> int:
        """How often an epoch does it."""
        return self.count * (STEPS if self.in_training else VALIDATION_STEPS)

    @property
    def flops(self) -> int:
        """Additions and multiplications of one product."""
        return 2 * self.rows * self.inner * self.columns


PRODUCTS = (
    Product("first layer, forward", WIDTH, FEATURES, BATCH, 1),
    Product("first layer, gradient of weights", WIDTH, BATCH, FEATURES, 1),
    Product("hidden layer, forward", WIDTH, WIDTH, BATCH, HIDDEN),
    Product("hidden layer, gradient of weights", WIDTH, BATCH, WIDTH, HIDDEN),
    Product("hidden layer, gradient of inputs", WIDTH, WIDTH, BATCH, HIDDEN),
    Product("output, forward", CLASSES, WIDTH, BATCH, 1),
    Product("output, gradient of weights", CLASSES, BATCH, WIDTH, 1),
    Product("output, gradient of inputs", WIDTH, CLASSES, BATCH, 1),
    Product("first layer, validation", WIDTH, FEATURES, VALIDATION_BATCH, 1, False),
    Product("hidden layer, validation", WIDTH, WIDTH, VALIDATION_BATCH, HIDDEN, False),
    Product("output, validation", CLASSES, WIDTH, VALIDATION_BATCH, 1, False),
)


def serve_floor(connection: Any, barrier: Any) -> None:
    """Measure on one core; each request is answered with the seconds of every way of every term.

    The processes of all cores wait for each other before each timing.
    """
    from floor_ways import Stopwatch, find_ways

    stopwatch = Stopwatch(barrier)
    ways = find_ways(PRODUCTS, PARAMETERS, stopwatch)
    connection.send(READY)
    while True:
        connection.recv()
        connection.send(
            {
                term: [(stopwatch.seconds(way), way.library, way.manner) for way in of_term]
                for term, of_term in ways.items()
            }
        )


class Floor:
    """One pinned process on each core, ready to measure again and again."""

    def __init__(self) -> None:
        """Start the processes; each finds the fastest layouts."""
        barrier = SPAWN.Barrier(len(CORES))
        self._children = [Child(serve_floor, barrier, core=core) for core in CORES]
        for child in self._children:
            child.connection.recv()

    def measure(self) -> dict[str, Any]:
        """Measure all terms once, on all cores at the same time.

        Returns:
            `seconds`, the floor of a trial-epoch; `terms`, the share of each in it, in seconds;
            `cores`, for each core and
            term the seconds of each way, its library and manner.
        """
        for child in self._children:
            child.connection.send("measure")
        cores = [child.connection.recv() for child in self._children]
        best = {term: mean(min(core[term])[0] for core in cores) for term in cores[0]}
        terms = {product.name: product.calls * best[product.name] for product in PRODUCTS}
        terms["optimizer"] = STEPS * ADAM_BYTES * best["a byte moved"]
        terms["gather"] = STEPS * best["gather"]
        terms["images of validation"] = VALIDATION_STEPS * best["images of validation"]
        return {"seconds": sum(terms.values()), "terms": terms, "cores": cores}

    def close(self) -> None:
        """End the processes."""
        for child in self._children:
            child.close()


def summary(measured: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over several measurements, and the ways that were the best."""
    ways = {
        term: sorted({" ".join(min(core[term])[1:]) for one in measured for core in one["cores"]})
        for term in measured[0]["cores"][0]
    }
    return {
        "seconds": median(one["seconds"] for one in measured),
        "terms": {
            term: median(one["terms"][term] for one in measured) for term in measured[0]["terms"]
        },
        "best_ways": ways,
    }


def main() -> int:
    """Measure and print the floor alone."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="measurements, 5 by default")
    arguments = parser.parse_args()
    floor = Floor()
    measured = [floor.measure() for _ in range(arguments.rounds)]
    floor.close()
    flops = {product.name: product.calls * product.flops for product in PRODUCTS}
    result = summary(measured)
    for term, seconds in result["terms"].items():
        rate = f"{flops[term] / seconds / 1e9:6.0f} GFLOP/s" if term in flops else ""
        ways = "; ".join(result["best_ways"].get(term, ()))
        sys.stdout.write(f"{term:36} {seconds:7.4f} s {rate:15} {ways}\n")
    spread = ", ".join(f"{one['seconds']:.3f}" for one in measured)
    sys.stdout.write(f"{'trial-epoch on one core':36} {result['seconds']:7.4f} s   ({spread})\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
