"""StudySpec -> Optuna's parameters and rules; parameters -> TrialConfig: no TensorFlow, no SQL."""

from sweep.space.digest import space_hash
from sweep.space.space import SearchSpace

__all__ = ["SearchSpace", "space_hash"]
