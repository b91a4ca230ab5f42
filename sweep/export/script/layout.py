"""How the generated Python is laid out: as `ruff format` and Black would."""

from collections.abc import Sequence

WIDTH = 88


def call(
    callee: str, arguments: Sequence[str], *, before: str = "", after: str = "", indent: int = 0
) -> str:
    """A call on as few lines as fit.

    Args:
        callee: What is called.
        arguments: The arguments, as code on one line each.
        before: What precedes the call on its line, for example `model = `.
        after: What follows it.
        indent: Spaces in front.
    """
    pad = " " * indent
    listed = ", ".join(arguments)
    line = f"{pad}{before}{callee}({listed}){after}"
    if len(line) <= WIDTH:
        return line
    body = f"{pad}    {listed}"
    if len(body) > WIDTH:
        body = "\n".join(f"{pad}    {argument}," for argument in arguments)
    return f"{pad}{before}{callee}(\n{body}\n{pad}){after}"


def lines(*parts: str | None) -> str:
    """The parts that are there, each on lines of its own."""
    return "\n".join(part for part in parts if part is not None)
