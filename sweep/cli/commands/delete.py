"""`sweep delete`."""

import sys

import click

from sweep.cli.command import SweepCommand, storage_option
from sweep.cli.output import note
from sweep.cli.text import plural


@click.command(cls=SweepCommand, examples=("sweep delete quickstart", "sweep delete old --yes"))
@click.argument("study")
@click.option("--yes", is_flag=True, help="Do not ask.")
@storage_option
def command(study: str, yes: bool, storage: str) -> int:
    """Delete STUDY from the database, its trials and epochs with it.

    Files of kept weights stay where they are, which is said.
    """
    from sweep.cli.selection import opened, pick_study

    with opened(storage) as store:
        name = pick_study(store, study)
        rows = store.trial_rows(name)
        trials = plural(len(rows), "trial")
        if not yes and not _confirmed(f"delete study {name} with {trials} from {store.safe_url}?"):
            note("nothing deleted")
            return 1
        store.delete_study(name)
    for place in sorted({row["weights"].rpartition("/")[0] for row in rows if row["weights"]}):
        note(f"its kept weights stay in {place}")
    click.echo(f"deleted {name} with {trials}")
    return 0


def _confirmed(question: str) -> bool:
    """Ask a person; where nobody can answer, say how to do without."""
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        click.echo(err=True)
        raise click.UsageError("Nobody answered; --yes deletes without asking.") from None
