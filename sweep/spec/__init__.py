"""YAML study files -> frozen `StudySpec`: never optuna, tensorflow or SQL."""

from sweep.spec.schema import json_schema
from sweep.spec.study_file import check_study, dump_study, load_study, parse_study
from sweep.spec.template import template

__all__ = ["check_study", "dump_study", "json_schema", "load_study", "parse_study", "template"]
