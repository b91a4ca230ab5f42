"""The checks of `sweep doctor`: each looks at one thing and never raises."""

import json
import os
import platform
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

from sweep.errors import DataError, SweepError

State = Literal["ok", "warn", "fail"]

BACKEND_SECONDS = 180
PROBES = {
    "tensorflow": """
import json, sys
import keras
import tensorflow as tf
json.dump({
    "found": f"tensorflow {tf.__version__}, keras {keras.__version__}",
    "gpus": len(tf.config.list_physical_devices("GPU")),
    "sum": float(tf.reduce_sum(tf.ones((2, 2)))),
}, sys.stdout)
""",
    "jax": """
import json, sys
import jax
import keras
json.dump({
    "found": f"jax {jax.__version__}, keras {keras.__version__}",
    "gpus": sum(device.platform == "gpu" for device in jax.devices()),
    "sum": float(jax.numpy.ones((2, 2)).sum()),
}, sys.stdout)
""",
}
"""Backend of Keras -> a program that loads it and computes."""
GPU_PACKAGES = {"tensorflow": "sweep[gpu]", "jax": "sweep[jax-gpu]"}
OPTIONAL_SAMPLERS = {"cmaes": ("cmaes", "cmaes"), "gp": ("torch", "torch")}
"""Sampler -> the module that it needs, and the package to install."""


@dataclass(frozen=True, slots=True)
class Check:
    """What one look found.

    Attributes:
        name: What was looked at.
        state: `ok`; `warn` if something optional is missing; `fail` if `sweep run` needs it.
        found: What was found.
        next_step: What to do about it.
    """

    name: str
    state: State
    found: str
    next_step: str | None = None


def check_python() -> Check:
    """The interpreter."""
    return Check("python", "ok", f"{platform.python_version()} on {platform.platform()}")


def check_packages() -> Iterator[Check]:
    """Every package that `sweep` requires."""
    yield Check("sweep", "ok", version("sweep"))
    missing, found = [], []
    for requirement in requires("sweep") or []:
        if "extra ==" in requirement:
            continue
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    yield Check("packages", "ok", ", ".join(found))
    if missing:
        names = ", ".join(missing)
        yield Check("packages", "fail", f"not installed: {names}", "install sweep again with pip")


def check_samplers() -> Iterator[Check]:
    """Packages that some samplers need."""
    from importlib.util import find_spec

    for sampler, (module, package) in OPTIONAL_SAMPLERS.items():
        name = f"sampler {sampler}"
        if find_spec(module) is not None:
            yield Check(name, "ok", f"{package} is installed")
        else:
            yield Check(name, "warn", f"{package} is not installed", f"pip install {package}")


def check_devices() -> Iterator[Check]:
    """Where workers would train."""
    from sweep.executors.devices import find_cores, find_devices

    cores = find_cores()
    yield Check(
        "processor", "ok", f"{len(cores)} physical cores to use, {os.cpu_count()} logical ones"
    )
    labels = ", ".join(f"{device.worker} on {device.label}" for device in find_devices())
    yield Check("workers", "ok", labels)


def check_backends() -> Iterator[Check]:
    """Whether TensorFlow and, if it is installed, JAX can train."""
    from sweep.spec.advice import missing_backend

    yield _check_backend("tensorflow", broken="fail")
    if command := missing_backend("jax"):
        yield Check("jax", "warn", "not installed; only `backend: jax` needs it", command)
    else:
        yield _check_backend("jax", broken="warn")


def _check_backend(name: str, broken: State) -> Check:
    """Whether a backend loads, computes and sees the GPUs: in a process of its own.

    A broken build ends the process that loads it; this one goes on.
    """
    from sweep.executors.devices import find_gpus
    from sweep.executors.inheritance import without_secrets

    inherited = without_secrets(os.environ)
    environment = {**inherited, "KERAS_BACKEND": name, "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        run = subprocess.run(
            [sys.executable, "-c", PROBES[name]],
            capture_output=True,
            text=True,
            timeout=BACKEND_SECONDS,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Check(name, broken, f"did not load within {BACKEND_SECONDS} seconds")
    if run.returncode != 0:
        lines = run.stderr.strip().splitlines() or [_ending(run.returncode)]
        install = f"pip install --force-reinstall {name}"
        return Check(name, broken, f"does not load: {lines[-1]}", install)
    probe = json.loads(run.stdout)
    found, expected, seen = probe["found"], len(find_gpus()), probe["gpus"]
    if expected > seen:
        return Check(
            name,
            "warn",
            f"{found}: sees {seen} of {expected} GPUs",
            f"pip install '{GPU_PACKAGES[name]}', and check the NVIDIA driver with nvidia-smi",
        )
    gpus = "no GPU" if seen == 0 else "one GPU" if seen == 1 else f"{seen} GPUs"
    return Check(name, "ok", f"{found}, {gpus}")


def _ending(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def check_data(data_dir: Path | None) -> Iterator[Check]:
    """Where CIFAR-10 would come from; nothing is decoded or downloaded."""
    from sweep.data import locate
    from sweep.data.cache import Cache, default_cache_dir
    from sweep.data.preparation import PUBLISHED

    cache = Cache(default_cache_dir())
    yield Check("data cache", "ok", str(cache.root))
    if data_dir is not None:
        try:
            source = locate.cifar10_in(data_dir.expanduser())
        except DataError as error:
            yield Check("cifar10", "fail", f"{error.what}: {error.where}", error.next_step)
        else:
            yield Check("cifar10", "ok", str(source.path))
        return
    cached = locate.cifar10_in_keras_cache()
    if cached:
        yield Check("cifar10", "ok", str(cached[0].path))
    elif cache.find(locate.archive_key(PUBLISHED.sha256)):
        yield Check("cifar10", "ok", "decoded in the data cache")
    else:
        yield Check(
            "cifar10",
            "warn",
            f"not on this machine: a run downloads {PUBLISHED.size_bytes / 1e6:.0f} MB",
            "let it, or put cifar-10-batches-py somewhere and name that with --data-dir; "
            "without either studies/quickstart.yaml trains on synthetic images",
        )


def check_storage(url: str) -> Check:
    """Whether the database opens and has the schema of this version."""
    from sweep.store import Store, is_new, safe_url
    from sweep.store.schema import REVISION

    name = safe_url(url)
    try:
        if is_new(url):
            return Check("storage", "ok", f"{name}: not there yet; sweep run makes it")
        with Store.open(url, create=False) as store:
            count = len(store.study_rows())
    except SweepError as error:
        return Check("storage", "fail", f"{error.what}: {name}", error.next_step)
    return Check("storage", "ok", f"{name}: schema {REVISION}, {count} studies")
