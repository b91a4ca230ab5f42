"""`sweep retry`."""

import click

from sweep.cli.command import SweepCommand, json_option, storage_option, study_option
from sweep.cli.output import note, print_json


@click.command(cls=SweepCommand, examples=("sweep retry", "sweep retry 3 17 --study quickstart"))
@click.argument("trials", nargs=-1, type=int, metavar="[TRIAL]...")
@study_option
@storage_option
@json_option
def command(trials: tuple[int, ...], study: str | None, storage: str, as_json: bool) -> None:
    """Enqueue failed trials again: those named, or all.

    The next `sweep run` of the study trains them, under new numbers.
    """
    from sweep.cli.selection import opened, pick_study

    with opened(storage) as store:
        from sweep.driver.retry import retry_failed

        name = pick_study(store, study)
        numbers = retry_failed(store, name, trials)
    if as_json:
        print_json({"study": name, "retried": numbers})
    elif numbers:
        click.echo(f"enqueued again in {name}: trial {', '.join(map(str, numbers))}")
        click.echo("next: sweep run FILE, with the study's file, trains them")
    else:
        note(f"{name} has no failed trial that was not retried")
