"""`sweep`, with `quick_engine` in the place of every engine."""

import sys
from functools import partial
from pathlib import Path

from sweep.cli import main
from sweep.executors import process

if __name__ == "__main__":
    sys.path += [str(Path(__file__).parent), str(Path(__file__).parent.parent / "executors")]
    process.ProcessExecutor = partial(process.ProcessExecutor, factory="quick_engine:make_engine")
    sys.exit(main())
