"""`sweep`, with `quick_engine` in the place of every engine."""

import sys
from functools import partial
from pathlib import Path

from sweep.cli import main
from sweep.executors import process, ray

if __name__ == "__main__":
    sys.path += [str(Path(__file__).parent), str(Path(__file__).parent.parent / "executors")]
    factory = "quick_engine:make_engine"
    process.ProcessExecutor = partial(process.ProcessExecutor, factory=factory)
    ray.RayExecutor = partial(ray.RayExecutor, factory=factory)
    sys.exit(main())
