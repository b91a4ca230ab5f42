"""How a worker's kept weights get to where the driver wants them."""

import logging
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sweep.errors import SweepError
from sweep.executors.places import File
from sweep.executors.s3_address import S3Address
from sweep.trial import TrialResult

_log = logging.getLogger(__name__)


def saved_to(file: File | None, retire: Callable[[Path | None], TrialResult]) -> TrialResult:
    """Retire a trial, and keep its weights.

    Args:
        file: Where to keep them; None not to.
        retire: Retires the trial and saves its weights in a file of this machine.

    Returns:
        The trial's result. One whose weights do not get through is not lost for it: its result
        names none, and its remark says why.

    Raises:
        Exception: What `retire` raises.
    """
    if not isinstance(file, S3Address):
        return retire(file)
    with tempfile.TemporaryDirectory(prefix="sweep-weights-") as directory:
        path = Path(directory) / file.name
        result = retire(path)
        if result.weights is None:
            return result
        try:
            _upload(path, file)
        except SweepError as error:
            _log.warning("the weights of trial %d are lost", result.number, exc_info=error)
            why = ", ".join(filter(None, (error.what, error.where, error.received)))
            remarks = filter(None, (result.remark, f"the weights were not kept: {why}"))
            return replace(result, weights=None, remark="; ".join(remarks))
    return replace(result, weights=str(file))


def _upload(path: Path, address: S3Address) -> None:
    from sweep.executors.s3 import S3Objects

    with path.open("rb") as content:
        S3Objects(address.parent).write(address.name, content)
