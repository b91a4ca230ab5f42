"""Cohorts of several sizes on one device, beside Keras `fit` on the same device and backend."""

import argparse
import gc
import logging
import os
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import product
from statistics import median
from typing import Any

from floor import ADAM_BYTES, FEATURES, PARAMETERS, PRODUCTS, STEPS, VALIDATION_STEPS
from throughput_machine import gpu
from throughput_process import Child
from throughput_rivals import serve_fit
from throughput_rounds import Reporter, print_line
from throughput_trials import BATCH, TRAIN_IMAGES, Params

from sweep.data import DataRef
from sweep.errors import SweepError
from sweep.executors.backends import backend_environment
from sweep.trial import TrialConfig, TrialTask, trial_seed

logger = logging.getLogger("throughput")

# Times the speed of Keras `fit`.
GOAL = 200.0
# Of the makers' data sheets: float32 and, on tensor cores without sparsity, TF32 operations a
# second, and bytes a second.
DATA_SHEETS = {
    "NVIDIA H200": (67e12, 495e12, 4.8e12),
    "NVIDIA H100 80GB HBM3": (67e12, 495e12, 3.35e12),
    "NVIDIA A100-SXM4-80GB": (19.5e12, 156e12, 2.039e12),
    "NVIDIA A100-SXM4-40GB": (19.5e12, 156e12, 1.555e12),
}


@dataclass(frozen=True, slots=True)
class Variant:
    """A structure to measure: the reference network with other parts."""

    optimizer: str
    batch_norm: bool
    dropout: bool

    @property
    def name(self) -> str:
        """Its parts."""
        parts = ("batch_norm" * self.batch_norm, "dropout" * self.dropout)
        return " ".join(part for part in (self.optimizer, *parts) if part)

    def params(self) -> Params:
        """In the words of the user's loop."""
        return {
            "activation": "selu",
            "kernel_initializer": "lecun_normal",
            "batch_norm": self.batch_norm,
            "dropout": self.dropout,
            "dropout_rate": 0.1,
            "optimizer": self.optimizer,
            "learning_rate": 1e-4,
        }

    def config(self, slot: int) -> TrialConfig:
        """In the words of `sweep`; each slot has its own numbers."""
        return TrialConfig(
            batch_norm="before" if self.batch_norm else "none",
            dropout="dropout" if self.dropout else "none",
            dropout_rate=0.05 + 0.1 * (slot % 8) / 8,
            optimizer=self.optimizer,
            momentum=0.9 if self.optimizer == "sgd" else 0.0,
            learning_rate=1e-4 * (1 + slot % 16),
            batch_size=BATCH,
            epochs=1000,
        )

    def bytes_per_epoch(self) -> float:
        """The least that an epoch moves per trial, if nothing stays in a cache between steps.

        The optimizer's numbers, weights read forward and backward, gradients written, images read
        as bytes, written as numbers and read twice. Activations are left out.
        """
        optimizer = ADAM_BYTES if self.optimizer == "adam" else ADAM_BYTES * 5 // 7
        step = optimizer + 3 * 4 * PARAMETERS + BATCH * FEATURES * (1 + 3 * 4)
        validation = 4 * PARAMETERS + TRAIN_IMAGES // 4 // VALIDATION_STEPS * FEATURES * (
            1 + 2 * 4
        )
        return STEPS * step + VALIDATION_STEPS * validation


FLOPS_PER_EPOCH = sum(one.calls * one.flops for one in PRODUCTS)
VARIANTS = tuple(
    Variant(optimizer, batch_norm, dropout)
    for optimizer, batch_norm, dropout in product(("sgd", "adam"), (False, True), (False, True))
)


def compare_slots(arguments: argparse.Namespace, data: DataRef, result: Reporter) -> None:
    """Measure every variant at every number of slots, and print a table of each."""
    backend = os.environ["KERAS_BACKEND"]
    # As in a worker; Keras's process has what a user has, but must leave memory to this one.
    theirs = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    on_gpu = arguments.device == "gpu"
    variants = [v for v in VARIANTS if v.name.startswith(arguments.variants or "")]
    with closing(Child(serve_fit, data, environment=theirs)) as child:
        child.connection.recv()
        os.environ.update(backend_environment(backend, on_gpu=on_gpu, inherited=os.environ))
        speed = _device_speed(on_gpu)
        sheet = _data_sheet()
        result.update(device_speed=speed, data_sheet=sheet)
        print_line(
            f"products of large matrices {speed['flops'] / 1e12:.2f} TFLOP/s, "
            f"memory {speed['bytes'] / 1e9:.0f} GB/s"
        )
        share = (data.train[1] - data.train[0]) / TRAIN_IMAGES
        measured: dict[str, Any] = {}
        for variant in variants:
            logger.info("%s: Keras fit", variant.name)
            fit = median(child.call((variant.params(), arguments.rounds)))
            rows: list[dict[str, Any]] = []
            measured[variant.name] = {"fit_epoch_seconds": fit, "slots": rows}
            print_line(f"\n{variant.name}: Keras fit {1 / fit:.3f} epochs per second")
            print_line(" slots  trial-epochs/s  /fit  compile  flops  memory")
            for row in _rows(variant, arguments, data, share, speed):
                rows.append(row)
                result.update(variants=measured)
                say_row(row, fit)
            measured[variant.name]["best"] = _best(rows, fit, speed, sheet)
            result.update(variants=measured)


def _rows(
    variant: Variant,
    arguments: argparse.Namespace,
    data: DataRef,
    share: float,
    speed: dict[str, float],
) -> Iterator[dict[str, Any]]:
    for slots in arguments.slots:
        logger.info("%s: %d slots", variant.name, slots)
        try:
            row = _train_slots(variant, slots, f"{arguments.device}:0", arguments.rounds, data)
        except SweepError as error:
            # Too many for the memory; the next variant may still fit.
            yield {"slots": slots, "error": str(error)}
            continue
        rate = slots / median(row["epoch_seconds"])
        yield row | {
            "trial_epochs_per_second": rate,
            "share_of_flops": rate * share * FLOPS_PER_EPOCH / speed["flops"],
            "share_of_memory_speed": rate * share * variant.bytes_per_epoch() / speed["bytes"],
        }


def _best(
    rows: list[dict[str, Any]],
    fit_seconds: float,
    speed: dict[str, float],
    sheet: dict[str, float] | None,
) -> dict[str, Any] | None:
    """The fastest size of a cohort, beside Keras and beside the device; None if none trained."""
    best = max(rows, key=lambda row: row.get("trial_epochs_per_second", 0.0))
    if "error" in best:
        return None
    times = best["trial_epochs_per_second"] * fit_seconds
    print_line(f"best at {best['slots']} slots: {times:.0f} times Keras fit (goal {GOAL:g})")
    of_sheet = {}
    if sheet is not None:
        flops = best["share_of_flops"] * speed["flops"]
        moved = best["share_of_memory_speed"] * speed["bytes"]
        of_sheet = {
            "share_of_float32_sheet": flops / sheet["float32_flops"],
            "share_of_tf32_sheet": flops / sheet["tf32_flops"],
            "share_of_memory_sheet": moved / sheet["bytes"],
        }
    return {"slots": best["slots"], "over_fit": times, **of_sheet}


def _train_slots(
    variant: Variant, slots: int, device: str, epochs: int, data: DataRef
) -> dict[str, Any]:
    """One epoch to compile, then some that count."""
    from sweep.engines.fused.engine import FusedEngine

    started = time.perf_counter()
    engine = FusedEngine(data, device, capacity=slots)
    for slot in range(slots):
        engine.admit(TrialTask(slot, variant.config(slot), trial_seed(0, slot)))
    admitted = time.perf_counter()
    seconds = []
    for _ in range(1 + epochs):
        began = time.perf_counter()
        reports = engine.run_epoch()
        seconds.append(time.perf_counter() - began)
        if len(reports) != slots:
            raise RuntimeError(f"{len(reports)} of {slots} slots were trained")
    row = {
        "slots": slots,
        "admission_seconds": admitted - started,
        "first_epoch_seconds": seconds[0],
        "compile_seconds": engine.compile_seconds,
        "epoch_seconds": seconds[1:],
        "peak_memory_bytes": _peak_memory(),
    }
    engine.abandon()
    del engine
    gc.collect()
    return row


def _device_speed(on_gpu: bool) -> dict[str, float]:
    """What the device does at its best: products of large matrices, and passes over memory."""
    from keras import ops, random

    side, length, times = (8192, 2**28, 20) if on_gpu else (1024, 2**21, 50)
    square, vector = random.uniform((side, side)) / side, ops.zeros(length)

    def multiply() -> Any:
        out = square
        for _ in range(times):
            out = ops.matmul(out, square)
        return out[0, 0]

    def add() -> Any:
        out = vector
        for _ in range(times):
            out = out + 1.0
        return out[0]

    def fastest(work: Any) -> float:
        seconds = []
        for _ in range(4):
            began = time.perf_counter()
            ops.convert_to_numpy(work())
            seconds.append(time.perf_counter() - began)
        return min(seconds) / times

    return {"flops": 2.0 * side**3 / fastest(multiply), "bytes": 8.0 * length / fastest(add)}


def _data_sheet() -> dict[str, float] | None:
    name = (gpu() or "").split(",")[0]
    if name not in DATA_SHEETS:
        return None
    return dict(zip(("float32_flops", "tf32_flops", "bytes"), DATA_SHEETS[name], strict=True))


def _peak_memory() -> int | None:
    """The most that the device held so far, where JAX counts it."""
    if os.environ["KERAS_BACKEND"] != "jax":
        return None
    import jax

    statistics = jax.local_devices()[0].memory_stats() or {}
    return statistics.get("peak_bytes_in_use")


def say_row(row: dict[str, Any], fit_seconds: float) -> None:
    """Print the measurement of one number of slots."""
    if "error" in row:
        print_line(f"{row['slots']:6}  {row['error'].splitlines()[0]}")
        return
    rate = row["trial_epochs_per_second"]
    print_line(
        f"{row['slots']:6} {rate:15.3f} {rate * fit_seconds:6.1f} {row['compile_seconds']:7.1f}s"
        f" {row['share_of_flops']:6.1%} {row['share_of_memory_speed']:7.1%}"
    )
