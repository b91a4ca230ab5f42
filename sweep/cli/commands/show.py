"""`sweep show`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from sweep.cli.command import SweepCommand, json_option, storage_option, study_option
from sweep.cli.output import print_fields, print_json, print_table
from sweep.cli.text import duration, metric, short, sparkline
from sweep.trial import TrialConfig

if TYPE_CHECKING:
    from sweep.cli.terms import StudyTerms

CURVES = ("val_accuracy", "accuracy", "val_loss", "loss", "learning_rate")
EPOCH_KEYS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")
LOG_LINES = 20
LAYER_LINES = 8


@click.command(
    cls=SweepCommand, examples=("sweep show 12", "sweep show 12 --study quickstart --json")
)
@click.argument("trial", type=int)
@study_option
@storage_option
@json_option
def command(trial: int, study: str | None, storage: str, as_json: bool) -> None:
    """Show one trial: configuration, curves, layers, and why it failed.

    TRIAL is a number, as in `sweep trials`.
    """
    from sweep.cli.selection import opened, pick_study, pick_trial
    from sweep.cli.terms import StudyTerms

    with opened(storage) as store:
        name = pick_study(store, study)
        terms = StudyTerms.of(store, name)
        row = pick_trial(store, name, trial)
        epochs = store.epoch_rows(name, trial)
        layers = store.layer_rows(name, trial)
    if as_json:
        print_json(
            {
                "study": name,
                **terms.trial_document(row),
                "traceback": row["traceback"],
                "log": row["log"],
                "curve": [{key: epoch[key] for key in EPOCH_KEYS} for epoch in epochs],
                "layers": layers,
            }
        )
        return
    _print_head(row, terms)
    _print_config(row["config"])
    _print_curves(epochs)
    _print_layers(layers)
    _print_failure(row)


def _print_head(row: Mapping[str, Any], terms: "StudyTerms") -> None:
    document = terms.trial_document(row)
    click.secho(f"trial {row['number']} of {terms.spec.study}: {document['state']}", bold=True)
    epochs, attempt = row["epochs"], row["attempt"]
    inference, zeros = row["inference_seconds"], row["zero_weights"]
    where = [row["worker"], row["device"], row["engine"] and f"engine {row['engine']}"]
    print_fields(
        {
            **{name: metric(value) for name, value in (document["values"] or {}).items()},
            "data": terms.data,
            "stopped": row["stop_reason"],
            "epochs": f"{epochs}, weights of epoch {row['kept_epoch']}"
            if row["kept_epoch"]
            else epochs or None,
            "time": row["seconds"] and duration(row["seconds"]),
            "parameters": row["parameters"] and f"{row['parameters']:,}",
            "zero weights": None if zeros is None else f"{zeros:.1%}",
            "inference": inference and f"{1e3 * inference:.2g} ms for 128 images on one core",
            "seed": row["seed"],
            "trained by": ", ".join(filter(None, where)),
            "remark": row["remark"],
            "attempt": attempt if attempt and attempt > 1 else None,
            "retry of": document["retry_of"],
            "weights": row["weights"],
        },
        indent="  ",
    )


def _print_config(config: Mapping[str, Any] | None) -> None:
    if not config:
        return
    trial = TrialConfig(**config)
    click.secho("config", bold=True)
    active = {name: short(value) for name, value in config.items() if trial.is_active(name)}
    print_fields(active, indent="  ")


def _print_curves(epochs: Sequence[Mapping[str, Any]]) -> None:
    if not epochs:
        return
    click.secho(f"curves over {len(epochs)} epochs", bold=True)
    width = max(map(len, CURVES)) + 2
    for name in CURVES:
        values = [row[name] for row in epochs]
        curve = sparkline(values, width=40)
        first, last = (metric(values[i]) for i in (0, -1))
        if name == "learning_rate":
            first, last = short(values[0]), short(values[-1])
        click.echo(f"  {name:<{width}}{curve}  {first} to {last}")


def _print_layers(layers: Sequence[Mapping[str, Any]]) -> None:
    """Some of the layers, evenly spaced, the first and the output layer among them."""
    if not layers:
        return
    count = min(len(layers), LAYER_LINES)
    places = [round(i * (len(layers) - 1) / (count - 1)) for i in range(count)]
    more = f", {count} of {len(layers)}" if count < len(layers) else ""
    click.secho(f"layers{more}", bold=True)
    rows = [
        [
            "  output" if place == len(layers) - 1 else f"  {layers[place]['layer']}",
            *(short(layers[place][key]) for key in ("mean", "std")),
            "-" if layers[place]["dead"] is None else f"{layers[place]['dead']:.0%}",
            short(layers[place]["gradient_norm"]),
        ]
        for place in places
    ]
    print_table(["  layer", "mean", "std", "dead units", "gradient norm"], rows, right="lrrrr")


def _print_failure(row: Mapping[str, Any]) -> None:
    if row["error"]:
        click.secho("error", bold=True)
        click.echo(f"  {row['error']}")
    for title in ("traceback", "log"):
        text = str(row[title] or "").rstrip()
        if text:
            lines = text.splitlines()
            shown = lines if title == "traceback" else lines[-LOG_LINES:]
            more = f", last {LOG_LINES} of {len(lines)} lines" if len(shown) < len(lines) else ""
            click.secho(title + more, bold=True)
            for line in shown:
                click.echo(f"  {line}".rstrip())
