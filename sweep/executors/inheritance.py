"""What workers inherit of this process's environment."""

import re
from collections.abc import Mapping
from typing import Final

_SECRET: Final = re.compile(
    r"PGPASSWORD|SWEEP_STORAGE|SWEEP_NOTIFY_.*|SWEEP_.*(PASSWORD|SECRET|TOKEN).*"
)


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """All variables but those that only this process, which speaks to the database, needs."""
    return {name: value for name, value in environment.items() if not _SECRET.fullmatch(name)}
