"""`sweep resume`."""

import click

from sweep.cli.command import SweepCommand, json_option, storage_option
from sweep.cli.output import note, print_json
from sweep.cli.text import plural


@click.command(cls=SweepCommand, examples=("sweep resume quickstart",))
@click.argument("study")
@storage_option
@json_option
def command(study: str, storage: str, as_json: bool) -> None:
    """Let STUDY go on after `sweep pause`, `stop` or `cancel`."""
    from sweep.cli.control import control
    from sweep.cli.selection import opened, pick_study
    from sweep.store import Wanted

    with opened(storage) as store:
        name = pick_study(store, study)
        document = control(store, name, Wanted.RUN, waits=False)
        is_submitted = any(queued.name == name for queued in store.queue.studies())
        agents = len(store.queue.agents())
    if as_json:
        print_json(document | {"submitted": is_submitted, "agents": agents})
        return
    click.echo(f"{name} may go on")
    if not is_submitted:
        note("it was not submitted to agents: sweep run FILE, with its file, goes on with it")
    elif agents:
        note(f"{plural(agents, 'agent')} of this database will take it up")
    else:
        note("no agent is there; start one: sweep worker")
