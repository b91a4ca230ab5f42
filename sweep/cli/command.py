"""What every command shares: its help's shape, `--debug`, and the options of more than one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

DEFAULT_STORAGE = "sqlite:///sweep.db"
INTERRUPTED = 130
"""Exit code after Ctrl-C."""

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


@dataclass(slots=True)
class Session:
    """What one call of the program remembers.

    Attributes:
        debug: Whether tracebacks and debug messages are wanted.
    """

    debug: bool = False


def _set_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Session).debug = True


class SweepCommand(click.Command):
    """A command with `--debug` and with examples at the end of its help."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        """Add the option and keep the examples: whole command lines."""
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        self.params.append(
            click.Option(
                ["--debug"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_set_debug,
                help="Show tracebacks and debug messages.",
            )
        )

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are typed."""
        if self.examples:
            formatter.write_paragraph()
            formatter.write("Examples:\n")
            for line in self.examples:
                formatter.write(f"  {line}\n")


def _storage_callback(_: click.Context, __: click.Parameter, value: str) -> str:
    from sweep.store.location import storage_url

    return storage_url(value)


def storage_option(function: Decorated) -> Decorated:
    """Add `--storage`, passed as a URL."""
    return click.option(
        "--storage",
        metavar="URL",
        envvar="SWEEP_STORAGE",
        default=DEFAULT_STORAGE,
        show_default=True,
        show_envvar=True,
        callback=_storage_callback,
        help="Database: a URL, or the path of an SQLite file.",
    )(function)


def data_dir_option(function: Decorated) -> Decorated:
    """Add `--data-dir`."""
    return click.option(
        "--data-dir",
        metavar="DIR",
        type=click.Path(path_type=Path),
        envvar="SWEEP_DATA_DIR",
        show_envvar=True,
        help="Where CIFAR-10 lies: the unpacked batches, the .tar.gz or an .npz.",
    )(function)


def artifacts_option(function: Decorated) -> Decorated:
    """Add `--artifacts`."""
    return click.option(
        "--artifacts",
        metavar="PLACE",
        envvar="SWEEP_ARTIFACTS",
        show_envvar=True,
        help="Directory or s3://BUCKET/PREFIX of checkpoints and weights; beside the SQLite file, "
        "or here, if not given.",
    )(function)


def notify_options(function: Decorated) -> Decorated:
    """Add `--notify-webhook`, `--notify-command` and `--notify-on`."""
    options = (
        click.option(
            "--notify-webhook",
            metavar="URL",
            envvar="SWEEP_NOTIFY_WEBHOOK",
            show_envvar=True,
            help="POST what happens there as JSON, signed with SWEEP_WEBHOOK_SECRET if it is set.",
        ),
        click.option(
            "--notify-command",
            metavar="COMMAND",
            envvar="SWEEP_NOTIFY_COMMAND",
            show_envvar=True,
            help='Run this for what happens: JSON on its input, "$SWEEP_TEXT" in its environment.',
        ),
        click.option(
            "--notify-on",
            type=click.Choice(("finish", "new_best", "failure")),
            multiple=True,
            envvar="SWEEP_NOTIFY_ON",
            show_envvar=True,
            help="What both are told; everything if not given.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def json_option(function: Decorated) -> Decorated:
    """Add `--json`, passed as `as_json`."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON document instead of text."
    )(function)


def set_option(function: Decorated) -> Decorated:
    """Add `--set`, passed as `overrides`."""
    return click.option(
        "--set",
        "overrides",
        metavar="KEY=VALUE",
        multiple=True,
        help="Override a field of the file, e.g. budget.trials=20. Repeatable.",
    )(function)


def study_argument(function: Decorated) -> Decorated:
    """Add the optional argument `STUDY`."""
    return click.argument("study", required=False)(function)


def study_option(function: Decorated) -> Decorated:
    """Add `--study` to commands whose arguments are trial numbers."""
    return click.option(
        "--study", metavar="NAME", help="The study; optional if the database holds just one."
    )(function)
