"""Hyperparameter sweeps of the deep CIFAR-10 network, from a study file to an exported winner."""

from importlib.metadata import version

__version__ = version("sweep")
