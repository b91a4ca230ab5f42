"""SQL: Optuna's tables through Optuna's API, ours beside them; the only SQLAlchemy user."""

from sweep.store.describe import EXAMPLE_QUERIES, describe_schema
from sweep.store.driving import DrivingStorage
from sweep.store.location import artifacts_directory, safe_url
from sweep.store.migrate import upgrade
from sweep.store.store import Store

__all__ = [
    "EXAMPLE_QUERIES",
    "DrivingStorage",
    "Store",
    "artifacts_directory",
    "describe_schema",
    "safe_url",
    "upgrade",
]
