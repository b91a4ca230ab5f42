"""The only caller of Optuna's ask and tell."""

from sweep.driver.progress import BestTrial, Progress, SlotView, Watcher, WorkerView
from sweep.driver.retry import retry_failed
from sweep.driver.run import run_study
from sweep.driver.stop import StopFlag

__all__ = [
    "BestTrial",
    "Progress",
    "SlotView",
    "StopFlag",
    "Watcher",
    "WorkerView",
    "retry_failed",
    "run_study",
]
