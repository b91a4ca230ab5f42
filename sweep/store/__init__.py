"""SQL: Optuna's tables through Optuna's API, ours beside them; the only SQLAlchemy user."""

from sweep.store.databases import artifacts_directory
from sweep.store.describe import EXAMPLE_QUERIES, describe_schema
from sweep.store.driving import DrivingStorage
from sweep.store.location import safe_url, storage_url
from sweep.store.migrate import is_new, upgrade
from sweep.store.queue import QueuedStudy, StudyQueue
from sweep.store.records import RETRY_OF, Outlook, Wanted
from sweep.store.run import StudyRun
from sweep.store.share import BudgetSpentError
from sweep.store.store import Store

__all__ = [
    "EXAMPLE_QUERIES",
    "RETRY_OF",
    "BudgetSpentError",
    "DrivingStorage",
    "Outlook",
    "QueuedStudy",
    "Store",
    "StudyQueue",
    "StudyRun",
    "Wanted",
    "artifacts_directory",
    "describe_schema",
    "is_new",
    "safe_url",
    "storage_url",
    "upgrade",
]
