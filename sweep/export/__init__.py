"""A trial as something that runs without its study: a config, a script, a trained network."""

from sweep.export.export import FORMATS, export_trials

__all__ = ["FORMATS", "export_trials"]
