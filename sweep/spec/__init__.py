"""YAML study files -> frozen `StudySpec`: never optuna, tensorflow or SQL."""
