"""The study file that `sweep init` writes."""

from importlib.resources import files


def template() -> str:
    """A study file with comments, ready to run and to be changed."""
    return files("sweep.spec").joinpath("template.yaml").read_text(encoding="utf-8")
