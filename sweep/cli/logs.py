"""Log messages and Python warnings, as lines on standard error."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import click

from sweep.cli.command import Session


class _Lines(logging.Handler):
    """Writes `warning: text` to whatever standard error is at the time of the message.

    A live view replaces standard error while it runs, so the stream must not be kept.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session

    def filter(self, record: logging.LogRecord) -> bool:
        # It logs each try with the path of the address, which may be secret as a webhook's is.
        if record.name.startswith("urllib3"):
            return False
        if self._session.debug:
            return record.levelno >= logging.WARNING or record.name.startswith("sweep")
        # Other libraries' Python warnings concern programmers, who can ask for them.
        return record.levelno >= logging.WARNING and record.name != "py.warnings"

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
            if record.exc_info and self._session.debug:
                text += "\n" + logging.Formatter().formatException(record.exc_info)
            click.echo(f"{record.levelname.lower()}: {text}", err=True)
        except Exception:  # noqa: BLE001 - logging's own rule: a bad message must not end the program
            self.handleError(record)


@contextmanager
def logs_on_stderr(session: Session) -> Iterator[None]:
    """Show warnings, and with `--debug` every message of `sweep`, while the block runs."""
    handler = _Lines(session)
    ours = logging.getLogger("sweep")
    before = ours.level
    ours.setLevel(logging.DEBUG)
    logging.getLogger().addHandler(handler)
    with warnings.catch_warnings():
        logging.captureWarnings(True)
        try:
            yield
        finally:
            logging.captureWarnings(False)
            logging.getLogger().removeHandler(handler)
            ours.setLevel(before)


def quiet_optuna() -> None:
    """Send Optuna's messages through ours instead of its own handler; called once it is loaded."""
    import optuna

    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
