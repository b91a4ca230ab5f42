"""The root command: it finds the others by name, and turns errors into messages and exit codes."""

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

import click

from sweep.cli.command import INTERRUPTED, Session
from sweep.cli.logs import logs_on_stderr
from sweep.errors import SweepError

SECTIONS: dict[str, tuple[str, ...]] = {
    "Prepare": ("doctor", "init", "check"),
    "Search": ("run", "status", "trials", "show", "logs", "retry"),
    "Share out": ("submit", "worker", "pause", "resume", "stop", "cancel"),
    "Compare": ("studies", "dashboard", "report"),
    "Use the winner": ("export", "train"),
    "Keep house": ("delete", "storage", "schema"),
}
"""Every command, in the order in which a person meets them."""

EXAMPLE = """\
Start with three lines:
  sweep init study.yaml     write a study file with comments
  sweep run study.yaml      search; the same line again resumes
  sweep dashboard           compare the trials in the browser"""


class Root(click.Group):
    """Loads a command's module when the command is called or listed, and no sooner."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands, in the order of `SECTIONS`."""
        return [name for names in SECTIONS.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command = import_module(f"sweep.cli.commands.{cmd_name}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"sweep.cli.commands.{cmd_name}.command is no command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name those that are spelled alike."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            raise click.exceptions.NoSuchCommand(
                name, possibilities=self.list_commands(ctx), ctx=ctx
            )
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; a reader of standard output that has seen enough is no error."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            _discard_stdout()
            return 0

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by section, the descriptions in one column."""
        width = max(map(len, self.list_commands(ctx))) + 2
        for section, names in SECTIONS.items():
            formatter.write_paragraph()
            formatter.write(f"{section}:\n")
            for name in names:
                command = self.get_command(ctx, name)
                summary = command.get_short_help_str(limit=76 - width) if command else ""
                formatter.write(f"  {name:<{width}}{summary}\n")

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """End with an example."""
        formatter.write_paragraph()
        formatter.write(EXAMPLE + "\n")


def _print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from sweep import __version__

        click.echo(f"sweep {__version__}")
        ctx.exit()


@click.command(
    cls=Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 88}
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and exit.",
)
def root() -> None:
    """Search the hyperparameters of the deep CIFAR-10 network.

    `sweep COMMAND --help` explains a command and gives an example.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Words after the program's name; those of this process if not given.

    Returns:
        The exit code: 0 done, 1 failed, 2 the user can mend the input, 130 interrupted.
    """
    session = Session()
    with logs_on_stderr(session):
        try:
            code = root.main(
                args=None if arguments is None else list(arguments),
                prog_name="sweep",
                standalone_mode=False,
                obj=session,
            )
            sys.stdout.flush()
            return code if isinstance(code, int) else 0
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            return error.exit_code
        except click.ClickException as error:
            _report_usage(error)
            return error.exit_code
        except click.Abort:
            click.echo("interrupted", err=True)
            return INTERRUPTED
        except BrokenPipeError:
            _discard_stdout()
            return 0
        except SweepError as error:
            _report(str(error), session)
            return error.exit_code
        except Exception as error:  # noqa: BLE001 - the outermost frame: nothing may pass it
            first_line = (str(error).splitlines() or [""])[0]
            hint = "" if session.debug else "\n  next: run again with --debug for the traceback"
            _report(f"{type(error).__name__}: {first_line}{hint}", session)
            return 1


def _report_usage(error: click.ClickException) -> None:
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f"\n  next: {context.command_path} --help" if context else ""
    click.echo(click.style("error: ", fg="red") + error.format_message() + hint, err=True)


def _report(message: str, session: Session) -> None:
    if session.debug:
        click.echo(traceback.format_exc(), err=True, nl=False)
    click.echo(click.style("error: ", fg="red") + message, err=True)


def _discard_stdout() -> None:
    """Let the interpreter's last flush of a closed pipe go nowhere instead of failing."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
