"""One exported config, trained by itself, evaluated on the test split and saved."""

from sweep.train.comparison import Comparison
from sweep.train.evaluation import TestFigures
from sweep.train.trainer import TrainResult, train_trial_file

__all__ = ["Comparison", "TestFigures", "TrainResult", "train_trial_file"]
