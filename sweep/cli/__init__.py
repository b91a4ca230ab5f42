"""The command line: the only printer, and the only part that ends the process.

`app` finds commands and reports errors; each module of `commands` holds one command and loads
what it needs when it runs, so that `sweep --help` answers at once.
"""

from sweep.cli.app import main

__all__ = ["main"]
