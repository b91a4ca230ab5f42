"""`sweep submit`."""

from pathlib import Path

import click

from sweep.cli.command import (
    DEFAULT_STORAGE,
    SweepCommand,
    json_option,
    set_option,
    storage_option,
)
from sweep.cli.output import note, print_json
from sweep.cli.text import plural


@click.command(
    cls=SweepCommand,
    examples=(
        "sweep submit study.yaml --storage postgresql://me@db/sweep",
        "sweep submit study.yaml --set study=again --priority 1",
    ),
)
@click.argument("file", type=click.Path(path_type=Path))
@set_option
@click.option(
    "--priority",
    type=click.IntRange(-1000, 1000),
    default=0,
    show_default=True,
    help="Agents serve studies of the highest priority first.",
)
@click.option(
    "--weight",
    type=click.FloatRange(0.001, 1000.0),
    default=1.0,
    show_default=True,
    help="Share of the agents among studies of the same priority.",
)
@storage_option
@json_option
def command(
    file: Path,
    overrides: tuple[str, ...],
    priority: int,
    weight: float,
    storage: str,
    as_json: bool,
) -> None:
    """Queue the study in FILE for the agents of the database.

    `sweep worker` starts agents. Submitted again, with a larger budget for example, it goes on.
    """
    from sweep.budget import Budget
    from sweep.cli.advice import warn_of
    from sweep.cli.selection import opened
    from sweep.driver.provenance import study_record
    from sweep.driver.sampling import check_sampler
    from sweep.spec import load_study

    spec = load_study(file, overrides)
    warn_of(spec)
    check_sampler(spec)
    trials = Budget.of(spec).trials
    with opened(storage, create=True) as store:
        store.create_study(
            study_record(spec, None),
            directions=[o.direction for o in spec.objectives],
            metric_names=[o.metric for o in spec.objectives],
        )
        store.queue.submit(spec.study, priority=priority, weight=weight)
        agents = len(store.queue.agents())
    if as_json:
        document = {"study": spec.study, "trials": trials, "agents": agents}
        print_json(document | {"priority": priority, "weight": weight})
        return
    click.echo(f"submitted {spec.study} with {plural(trials, 'trial')} to {store.safe_url}")
    if agents:
        note(f"{plural(agents, 'agent')} of this database will take it up")
    else:
        option = "" if storage == DEFAULT_STORAGE else " --storage URL"
        note(f"no agent is there yet; start one on each machine: sweep worker{option}")
