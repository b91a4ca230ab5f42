"""YAML study files -> frozen `StudySpec`: never optuna, tensorflow or SQL."""

from sweep.spec.study_file import check_study, dump_study, load_study, parse_study

__all__ = ["check_study", "dump_study", "load_study", "parse_study"]
