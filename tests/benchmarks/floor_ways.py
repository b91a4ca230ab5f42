"""The ways to compute each term of the floor, and the clock; used in a pinned process."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product as combinations
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.compiler.tf2xla.python import xla

IMAGES, VALIDATION_BATCH = 40_000, 250
LOOP_SECONDS = 0.01
REPEATS = 7
PATIENCE_SECONDS = 300.0

Ways = dict[str, list["Way"]]


@dataclass(slots=True)
class Way:
    """A way to do something many times.

    Attributes:
        library: Who does it: `numpy` or `xla`.
        manner: How, where there are several.
        run: Does it so many times.
        units: What the seconds of one time are divided by.
        times: How often one timing does it; 0 until calibrated.
    """

    library: str
    manner: str
    run: Callable[[int], None]
    units: int = 1
    times: int = 0


class Stopwatch:
    """Times ways while the processes on the other cores time the same."""

    def __init__(self, barrier: Any) -> None:
        """Meet the other processes at `barrier`."""
        self._barrier = barrier

    def seconds(self, way: Way, repeats: int = REPEATS) -> float:
        """Seconds of a unit: the least of several timings, as befits a floor."""
        if way.times == 0:
            way.run(1)
            way.times = 1
            while (once := self._time(way)) < LOOP_SECONDS:
                way.times *= max(2, round(LOOP_SECONDS / max(once, 1e-6)))
        self._barrier.wait(PATIENCE_SECONDS)
        return min(self._time(way) for _ in range(repeats)) / (way.times * way.units)

    def _time(self, way: Way) -> float:
        started = time.perf_counter()
        way.run(way.times)
        return time.perf_counter() - started


def find_ways(products: Sequence[Any], parameters: int, stopwatch: Stopwatch) -> Ways:
    """For each term the ways worth timing again: of a product, the best layout of each library."""
    generator = np.random.default_rng(0)
    ways: Ways = {}
    for product in products:
        ways[product.name] = [
            min(
                (
                    make(product, layout, generator)
                    for layout in combinations((False, True), repeat=3)
                ),
                key=lambda way: stopwatch.seconds(way, repeats=3),
            )
            for make in (_numpy_product, _xla_product)
        ]
    return ways | _memory(parameters) | _images(generator)


def _operands(product: Any, swap: bool) -> tuple[int, int, int]:
    sizes = (product.rows, product.inner, product.columns)
    return sizes[::-1] if swap else sizes


def _manner(layout: tuple[bool, ...]) -> str:
    words = ("result transposed", "first transposed", "second transposed")
    return ", ".join(word for word, holds in zip(words, layout, strict=True) if holds) or "as is"


def _numpy_product(product: Any, layout: tuple[bool, ...], generator: np.random.Generator) -> Way:
    """All products of a step in one call, so that Python's part does not count."""
    swap, first, second = layout
    rows, inner, columns = _operands(product, swap)

    def stored(height: int, width: int, transposed: bool) -> Any:
        shape = (width, height) if transposed else (height, width)
        array = generator.uniform(0.0, 0.01, (product.count, *shape)).astype(np.float32)
        return array.swapaxes(1, 2) if transposed else array

    a, b = stored(rows, inner, first), stored(inner, columns, second)
    out = np.empty((product.count, rows, columns), np.float32)

    def run(times: int) -> None:
        for _ in range(times):
            np.matmul(a, b, out=out)

    return Way("numpy", _manner(layout), run, product.count)


def _xla_product(product: Any, layout: tuple[bool, ...], generator: np.random.Generator) -> Way:
    """One product again and again, each with an operand that the one before it has touched."""
    swap, first, second = layout
    rows, inner, columns = _operands(product, swap)

    def stored(height: int, width: int, transposed: bool) -> tf.Tensor:
        shape = (width, height) if transposed else (height, width)
        return tf.constant(generator.uniform(0.0, 0.01, shape).astype(np.float32))

    a, b = stored(rows, inner, first), stored(inner, columns, second)

    def step(index: tf.Tensor, a: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, ...]:
        out = tf.matmul(a, b, transpose_a=first, transpose_b=second)
        return index + 1, xla.dynamic_update_slice(a, out[:1, :1], [0, 0]), out

    return Way("xla", _manner(layout), _loop(step, a, tf.zeros((rows, columns))))


def _loop(step: Callable[..., Any], *state: tf.Tensor) -> Callable[[int], None]:
    """A compiled loop; `step` maps the index and the state to the next ones.

    All of the state is returned: what nobody asks for, XLA does not compute.
    """

    @tf.function(jit_compile=True)
    def run(times: tf.Tensor, *state: tf.Tensor) -> list[tf.Tensor]:
        return tf.while_loop(lambda index, *_: index < times, step, [tf.constant(0), *state])

    return lambda times: run(tf.constant(times), *state)[0].numpy()


def _memory(parameters: int) -> Ways:
    """Ways to move bytes through arrays as large as weights, gradients and moments."""
    w, m, v, g = (np.full(parameters, 1e-3, np.float32) for _ in range(4))

    def add(times: int) -> None:
        for _ in range(times):
            np.add(w, m, out=g)
            np.add(v, m, out=w)

    def copy(times: int) -> None:
        for _ in range(times):
            np.copyto(m, w)
            np.copyto(v, g)

    gradient = tf.constant(g)

    def update(index: Any, w: Any, m: Any, v: Any) -> tuple[Any, ...]:
        m, v = m + (gradient - m) * 0.1, v + (gradient - v) * 0.001
        return index + 1, w - m * v, m, v

    bytes_of = 4 * parameters
    return {
        "a byte moved": [
            Way("numpy", "add to an array", add, 6 * bytes_of),
            Way("numpy", "copy", copy, 4 * bytes_of),
            Way(
                "xla",
                "update three arrays",
                _loop(update, *map(tf.constant, (w, m, v))),
                7 * bytes_of,
            ),
        ]
    }


def _images(generator: np.random.Generator) -> Ways:
    """Ways to turn bytes of images into numbers."""
    images = generator.integers(0, 256, (IMAGES, 3072), np.uint8)
    order = generator.permutation(IMAGES).reshape(-1, 64).astype(np.int32)
    scale = np.float32(1.0 / 255.0)
    some, numbers = np.empty((64, 3072), np.uint8), np.empty((64, 3072), np.float32)
    many = np.empty((VALIDATION_BATCH, 3072), np.float32)

    def take(times: int) -> None:
        for index in range(times):
            np.take(images, order[index % len(order)], axis=0, out=some, mode="clip")
            np.multiply(some, scale, out=numbers)

    def convert(times: int) -> None:
        for index in range(times):
            start = index % 40 * VALIDATION_BATCH
            np.multiply(images[start : start + VALIDATION_BATCH], scale, out=many)

    stored, orders = tf.constant(images), tf.constant(order)

    def gather(index: Any, _: Any) -> tuple[Any, ...]:
        chosen = tf.gather(stored, orders[index % len(order)])
        return index + 1, tf.cast(chosen, tf.float32) * scale

    def cut(index: Any, _: Any) -> tuple[Any, ...]:
        chosen = xla.dynamic_slice(
            stored, [index % 40 * VALIDATION_BATCH, 0], [VALIDATION_BATCH, 3072]
        )
        return index + 1, tf.cast(chosen, tf.float32) * scale

    return {
        "gather": [
            Way("numpy", "two passes", take),
            Way("xla", "fused", _loop(gather, tf.constant(numbers))),
        ],
        "images of validation": [
            Way("numpy", "one pass", convert),
            Way("xla", "fused", _loop(cut, tf.constant(many))),
        ],
    }
