"""`sweep train`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sweep.cli.command import (
    INTERRUPTED,
    SweepCommand,
    data_dir_option,
    json_option,
    set_option,
)
from sweep.cli.output import note, print_fields, print_json
from sweep.cli.text import duration, metric
from sweep.trial import EpochReport, StopReason

if TYPE_CHECKING:
    from sweep.data import DataRef
    from sweep.train import TrainResult


@click.command(
    cls=SweepCommand,
    examples=("sweep train best.yaml", "sweep train best.yaml -o trained --set config.epochs=100"),
)
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory for model, history and curves; NAME-trained if not given.",
)
@set_option
@data_dir_option
@json_option
def command(
    config: Path,
    output: Path | None,
    overrides: tuple[str, ...],
    data_dir: Path | None,
    as_json: bool,
) -> int:
    """Train the exported CONFIG and evaluate it on the test split.

    Saves the model, the history and a page with the curves. Ctrl-C once ends after the epoch and
    saves what there is; twice leaves at once.
    """
    from sweep.cli.interrupt import winding_down
    from sweep.data import prepare
    from sweep.driver.stop import StopFlag
    from sweep.executors.backends import check_backend
    from sweep.spec.config_file import load_trial_file
    from sweep.train import train_trial_file

    trial_file = load_trial_file(config, overrides)
    check_backend(trial_file.backend)
    data = prepare(trial_file.data, data_dir=data_dir, progress=note)
    directory = output or Path(f"{config.stem}-trained")
    most = trial_file.config.epochs
    note(f"{config} on {data.name}: at most {most} epochs")
    note(f"Keras loads on {trial_file.backend}, which takes 10 seconds or more")

    def on_epoch(report: EpochReport) -> None:
        note(
            f"epoch {report.epoch:>{len(str(most))}}/{most}"
            f"  loss {metric(report.loss)}  accuracy {metric(report.accuracy)}"
            f"  val_loss {metric(report.val_loss)}  val_accuracy {metric(report.val_accuracy)}"
            f"  {duration(report.seconds)}"
        )

    stop = StopFlag()
    with winding_down(stop):
        trained = train_trial_file(
            trial_file,
            data=data,
            output=directory,
            on_epoch=on_epoch,
            stop=lambda: stop.requested,
        )
    if as_json:
        print_json(_document(trained, data))
    else:
        _print(trained, data)
    return INTERRUPTED if trained.result.reason is StopReason.INTERRUPTED else 0


def _document(trained: "TrainResult", data: "DataRef") -> dict[str, Any]:
    result, test, comparison = trained.result, trained.test, trained.comparison
    return {
        "data": data.name,
        "data_is_fallback": data.is_fallback,
        "stop_reason": result.reason,
        "epochs": result.epochs,
        "kept_epoch": result.kept_epoch,
        "seconds": result.seconds,
        "engine": result.engine,
        "remark": result.remark or None,
        "device": result.device,
        "validation": _validation(trained),
        "test": test and {"accuracy": test.accuracy, "loss": test.loss, "images": test.images},
        "no_test": trained.no_test or None,
        "comparison": comparison
        and {
            "is_exact": comparison.is_exact,
            "message": comparison.message,
            "differences": dict(comparison.differences),
        },
        "files": trained.files,
    }


def _validation(trained: "TrainResult") -> dict[str, float] | None:
    """Figures of the kept epoch."""
    kept = [r for r in trained.reports if r.epoch == trained.result.kept_epoch]
    return {"accuracy": kept[0].val_accuracy, "loss": kept[0].val_loss} if kept else None


def _print(trained: "TrainResult", data: "DataRef") -> None:
    result, validation, test = trained.result, _validation(trained), trained.test
    fallback = " (FALLBACK: not the data that was asked for)" if data.is_fallback else ""
    click.secho(f"trained on {data.name}{fallback}", bold=True)
    print_fields(
        {
            "stopped": result.reason.value.replace("_", " "),
            "epochs": f"{result.epochs}, weights of epoch {result.kept_epoch}",
            "time": duration(result.seconds),
            "engine": f"{result.engine}, on {result.device}",
            "remark": result.remark,
            "validation": validation
            and f"accuracy {metric(validation['accuracy'])}, loss {metric(validation['loss'])}",
            "test": f"accuracy {metric(test.accuracy)}, loss {metric(test.loss)}"
            f" on {test.images} images"
            if test
            else f"none: {trained.no_test}",
            "trial": trained.comparison and trained.comparison.message,
        },
        indent="  ",
    )
    for file in trained.files:
        click.echo(f"wrote {file}")
