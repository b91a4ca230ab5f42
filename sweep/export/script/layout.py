"""How the generated Python is laid out: as `ruff format` and Black would."""

from collections.abc import Sequence

WIDTH = 88


def call(callee: str, arguments: Sequence[str], *, before: str = "", indent: int = 0) -> str:
    """A call on as few lines as fit.

    Args:
        callee: What is called.
        arguments: The arguments, as code on one line each.
        before: What precedes the call on its line, for example `model = `.
        indent: Spaces in front.
    """
    pad = " " * indent
    listed = ", ".join(arguments)
    line = f"{pad}{before}{callee}({listed})"
    if len(line) <= WIDTH:
        return line
    body = f"{pad}    {listed}"
    if len(body) > WIDTH:
        body = "\n".join(f"{pad}    {argument}," for argument in arguments)
    return f"{pad}{before}{callee}(\n{body}\n{pad})"


def apply_layer(callee: str, arguments: Sequence[str], *, indent: int) -> str:
    """The statement that sends `signal` through a layer, or two where one would break badly."""
    layer = call(callee, arguments, before="signal = ", indent=indent)
    if "\n" not in layer and len(layer) + len("(signal)") > WIDTH:
        layer = call(callee, arguments, before="apply = ", indent=indent)
        return f"{layer}\n{' ' * indent}signal = apply(signal)"
    return f"{layer}(signal)"


def lines(*parts: str | None) -> str:
    """The parts that are there, each on lines of its own."""
    return "\n".join(part for part in parts if part is not None)
