"""Files named after what a database says, which others may have written."""

import hashlib
import re
from pathlib import PurePath
from typing import Final

STUDY_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
"""What a study file may call its study: never a path, nor longer than file systems take."""


def file_name(study: str) -> str:
    """The name of a study as a part of file names.

    Args:
        study: Any name: Optuna, and so its dashboard, take `../x`, NUL and names of any length.

    Returns:
        The name itself where a study file may have it, else one of the same shape made from it.
    """
    if re.fullmatch(STUDY_NAME, study):
        return study
    digest = hashlib.sha256(study.encode("utf-8", "surrogatepass")).hexdigest()
    return f"study-{re.sub(r'[^A-Za-z0-9_-]+', '_', study)[:40]}-{digest[:12]}"


def is_kept_weights(path: PurePath, study: str, number: int) -> bool:
    """Whether a path is one that weights of a trial are kept under, in whatever directory.

    Nothing else is copied or removed, whatever the database names.
    """
    return path.parts[-2:] == (study, f"trial-{number}.keras")
