"""Our tables. Optuna's stay the truth for parameters, states and values; ours hold the rest.

A trial's row goes when Optuna deletes the trial, and its epochs and layers with it: every table
hangs on Optuna's by foreign keys that cascade. A change needs a revision in `migrations/versions`.
"""

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

REVISION: Final = "0005"
VERSION_TABLE: Final = "sweep_alembic_version"


class UtcDateTime(TypeDecorator[datetime]):
    """Aware times, kept in UTC; SQLite and Optuna's tables keep them without a time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Aware again."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData()

# What we read of Optuna's tables with SQL of our own; see `queries.py` for why.
optuna_studies = Table("studies", metadata, Column("study_id", Integer, primary_key=True))
optuna_trials = Table(
    "trials",
    metadata,
    Column("trial_id", Integer, primary_key=True),
    Column("study_id", Integer),
    Column("number", Integer),
    Column("state", String(8)),
    # Naive, in UTC.
    Column("datetime_start", UtcDateTime),
    Column("datetime_complete", UtcDateTime),
)
optuna_values = Table(
    "trial_values",
    metadata,
    Column("trial_id", Integer),
    Column("objective", Integer),
    Column("value", Float(53)),
    Column("value_type", String(7)),
)
OPTUNA_TABLES: Final = frozenset({"studies", "trials", "trial_values"})


def _study_id() -> Column[int]:
    return Column(
        "study_id",
        ForeignKey("studies.study_id", ondelete="CASCADE"),
        nullable=False,
        comment="Optuna's id of the study",
    )


studies = Table(
    "sweep_studies",
    metadata,
    Column(
        "study_id",
        ForeignKey("studies.study_id", ondelete="CASCADE"),
        primary_key=True,
        comment="Optuna's id of the study",
    ),
    Column("name", String(100), nullable=False, unique=True, comment="name of the study"),
    Column("spec", Text, nullable=False, comment="resolved study file of the last run, YAML"),
    Column("space_hash", String(64), nullable=False, comment="digest of what must not change"),
    Column(
        "objectives",
        JSON,
        nullable=False,
        comment="metric and direction of each objective, in Optuna's order",
    ),
    Column("data_name", Text, nullable=False, comment="data trained on"),
    Column(
        "data_is_fallback",
        Boolean,
        nullable=False,
        comment="whether the data stands in for what the study file asked for",
    ),
    Column("data_fingerprint", String(64), nullable=False, comment="digest of images and splits"),
    Column("seed", Integer, nullable=False, comment="seed of the study"),
    Column("versions", JSON, nullable=False, comment="package versions of the last run, by name"),
    Column("git_revision", String(64), comment="commit of the working directory, last run"),
    Column("created_at", UtcDateTime, nullable=False, comment="time of the first run, UTC"),
    Column("updated_at", UtcDateTime, nullable=False, comment="start of the last run, UTC"),
    Column(
        "wanted",
        String(10),
        nullable=False,
        server_default="run",
        comment="what is to become of it: run, pause, stop or cancel",
    ),
    Column(
        "priority",
        Integer,
        nullable=False,
        server_default="0",
        comment="agents serve the highest first",
    ),
    Column(
        "weight",
        Float(53),
        nullable=False,
        server_default="1",
        comment="share of the agents among studies of its priority",
    ),
    Column("submitted_at", UtcDateTime, comment="when it was submitted to agents, UTC"),
    comment="what a study was started with; one row per study",
)

trials = Table(
    "sweep_trials",
    metadata,
    Column(
        "trial_id",
        ForeignKey("trials.trial_id", ondelete="CASCADE"),
        primary_key=True,
        comment="Optuna's id of the trial",
    ),
    _study_id(),
    Column("number", Integer, nullable=False, comment="trial number within the study, from 0"),
    Column(
        "config",
        JSON(none_as_null=True),
        comment="every setting of the network and its training, by name",
    ),
    Column("seed", Integer, comment="seed of the trial's randomness"),
    Column("attempt", Integer, comment="1, or more if a worker was lost while it trained"),
    Column("worker", String(100), comment="name of the worker that trained it last"),
    Column("started_at", UtcDateTime, comment="start of the last attempt, UTC"),
    Column("ended_at", UtcDateTime, comment="end of the last attempt, UTC"),
    Column("engine", String(50), comment="engine that trained it"),
    Column("device", String(50), comment="device it trained on, for example cpu:0"),
    Column("seconds", Float(53), comment="wall time from admission to retirement"),
    Column("epochs", Integer, comment="epochs trained"),
    Column("kept_epoch", Integer, comment="epoch whose weights were kept, from 1"),
    Column("parameters", Integer, comment="number of weights of the network"),
    Column(
        "stop_reason",
        String(20),
        comment="completed, early_stopping, diverged, pruned or interrupted",
    ),
    Column("weights", Text, comment=".keras file of the kept weights, while it is kept"),
    Column("error", Text, comment="why a failed trial failed, one line"),
    Column("traceback", Text, comment="Python traceback of the failure"),
    Column("log", Text, comment="last lines that the worker of a failed trial wrote"),
    Column("remark", Text, comment="what was unusual in its training, a sentence"),
    Column("checkpoint", Text, comment="name of the checkpoint that it would go on from"),
    Column("checkpoint_epoch", Integer, comment="last epoch before that checkpoint"),
    Column(
        "inference_seconds",
        Float(53),
        comment="wall time of a forward pass of 128 images on one core, by numpy",
    ),
    Column("zero_weights", Float(53), comment="share of kernel weights that are zero, 0 to 1"),
    UniqueConstraint("study_id", "number", name="uq_sweep_trials_study_id_number"),
    comment="how each trial was trained and ended; one row per trial, of its last attempt",
)


def _epoch_columns(*, primary_key: bool = False) -> tuple[Column[Any], ...]:
    return (
        Column(
            "epoch",
            Integer,
            primary_key=primary_key,
            nullable=False,
            comment="epochs trained so far, from 1",
        ),
        Column("loss", Float(53), comment="training loss; NULL where it was not finite"),
        Column("accuracy", Float(53), comment="training accuracy, 0 to 1"),
        Column("val_loss", Float(53), comment="validation loss; NULL where it was not finite"),
        Column("val_accuracy", Float(53), comment="validation accuracy, 0 to 1"),
        Column("learning_rate", Float(53), comment="rate of the epoch's last step"),
        Column("seconds", Float(53), comment="wall time of the epoch, validation included"),
        Column("reported_at", UtcDateTime, nullable=False, comment="when it was reported, UTC"),
    )


epochs = Table(
    "sweep_epochs",
    metadata,
    Column(
        "trial_id",
        ForeignKey("sweep_trials.trial_id", ondelete="CASCADE"),
        primary_key=True,
        comment="Optuna's id of the trial",
    ),
    *_epoch_columns(primary_key=True),
    comment="learning curves; one row per trial and epoch",
)

layers = Table(
    "sweep_layers",
    metadata,
    Column(
        "trial_id",
        ForeignKey("sweep_trials.trial_id", ondelete="CASCADE"),
        primary_key=True,
        comment="Optuna's id of the trial",
    ),
    Column(
        "layer",
        Integer,
        primary_key=True,
        nullable=False,
        autoincrement=False,
        comment="from 1; the output layer is the last one",
    ),
    Column("mean", Float(53), comment="mean of its outputs over units and validation images"),
    Column("std", Float(53), comment="standard deviation of its outputs"),
    Column("dead", Float(53), comment="share of its units that let nothing pass, 0 to 1"),
    Column("gradient_norm", Float(53), comment="norm of the loss's gradient of its kernel"),
    comment="the layers of trained networks with the kept weights, on 128 validation images; one "
    "row per trial and layer, numbers NULL where they were not finite",
)

workers = Table(
    "sweep_workers",
    metadata,
    Column("worker_id", Integer, primary_key=True, comment="in order of appearance"),
    _study_id(),
    Column("run_id", Integer, comment="run that started it"),
    Column("worker", String(100), nullable=False, comment="name; a replacement has the same"),
    Column("pid", Integer, nullable=False, comment="process id"),
    Column("host", String(255), nullable=False, comment="name of its machine"),
    Column("device", String(50), nullable=False, comment="device it trains on"),
    Column("engine", String(50), nullable=False, comment="engine it trains with"),
    Column("ready_at", UtcDateTime, nullable=False, comment="when it could train, UTC"),
    Column("ended_at", UtcDateTime, comment="when it was lost or its run ended, UTC"),
    Column("end_reason", Text, comment="why it is no longer there"),
    Index("ix_sweep_workers_study_id", "study_id"),
    comment="worker processes; one row per process",
)

logs = Table(
    "sweep_logs",
    metadata,
    Column("log_id", Integer, primary_key=True, comment="in order of writing"),
    _study_id(),
    Column("logged_at", UtcDateTime, nullable=False, comment="when it was written, UTC"),
    Column("level", String(10), nullable=False, comment="debug, info, warning or error"),
    Column("number", Integer, comment="trial number, if it concerns a trial"),
    Column("worker", String(100), comment="name of the worker, if it concerns a worker"),
    Column("message", Text, nullable=False, comment="one or more lines"),
    Index("ix_sweep_logs_study_id", "study_id"),
    comment="what happened in a study; one row per message",
)


def _seconds(name: str, meaning: str) -> Column[float]:
    return Column(name, Float(53), nullable=False, comment=meaning)


runs = Table(
    "sweep_runs",
    metadata,
    Column("run_id", Integer, primary_key=True, comment="in order of beginning"),
    _study_id(),
    Column("started_at", UtcDateTime, nullable=False, comment="its start, UTC"),
    Column(
        "updated_at", UtcDateTime, nullable=False, comment="when these figures were written, UTC"
    ),
    Column("host", String(255), comment="name of its machine"),
    Column("pid", Integer, comment="process id"),
    Column("expires_at", UtcDateTime, comment="until when it holds its trials if not renewed"),
    Column("ended_at", UtcDateTime, comment="when it ended, or was found dead, UTC"),
    Column("workers", Integer, nullable=False, comment="workers that it started"),
    _seconds("seconds", "wall time of the run"),
    _seconds("training_seconds", "workers' time spent on training and validation"),
    _seconds("compiling_seconds", "workers' time spent on building and compiling"),
    _seconds("idle_seconds", "workers' time spent on waiting, their start left out"),
    _seconds("sampling_seconds", "driver's time spent on asking the sampler"),
    _seconds("storage_seconds", "driver's time spent on the database and the pruner"),
    Index("ix_sweep_runs_study_id", "study_id"),
    # Tokens that fence: an id must not come back when the last row is deleted.
    sqlite_autoincrement=True,
    comment="how time was spent; one row per run of a study",
)

leases = Table(
    "sweep_leases",
    metadata,
    Column(
        "trial_id",
        ForeignKey("trials.trial_id", ondelete="CASCADE"),
        primary_key=True,
        comment="Optuna's id of the trial",
    ),
    _study_id(),
    Column(
        "run_id",
        ForeignKey("sweep_runs.run_id", ondelete="CASCADE"),
        nullable=False,
        comment="run that may write about it; another one may take it over",
    ),
    Column("revision", Integer, nullable=False, comment="grows whenever that run writes about it"),
    Index("ix_sweep_leases_study_id", "study_id"),
    Index("ix_sweep_leases_run_id", "run_id"),
    comment="who trains what; one row per open trial",
)

late_epochs = Table(
    "sweep_late_epochs",
    metadata,
    Column("late_id", Integer, primary_key=True, comment="in order of writing"),
    Column(
        "trial_id",
        ForeignKey("trials.trial_id", ondelete="CASCADE"),
        nullable=False,
        comment="Optuna's id of the trial",
    ),
    Column("run_id", Integer, nullable=False, comment="run that reported it"),
    *_epoch_columns(),
    Index("ix_sweep_late_epochs_trial_id", "trial_id"),
    comment="epochs reported by a run after another one had taken the trial over; they count "
    "for nothing",
)

agents = Table(
    "sweep_agents",
    metadata,
    Column("agent_id", Integer, primary_key=True, comment="in order of beginning"),
    Column("host", String(255), nullable=False, comment="name of its machine"),
    Column("pid", Integer, nullable=False, comment="process id"),
    Column("device", String(50), nullable=False, comment="device it trains on"),
    Column("study", String(100), comment="name of the study that it serves, if any"),
    Column("started_at", UtcDateTime, nullable=False, comment="its start"),
    Column(
        "expires_at",
        UtcDateTime,
        nullable=False,
        comment="until when it is believed to live if it does not say so again, UTC",
    ),
    Column("ended_at", UtcDateTime, comment="when it ended by itself, UTC"),
    comment="processes that serve studies; one row per device and process",
)

OUR_TABLES: Final = (
    studies,
    trials,
    epochs,
    layers,
    workers,
    logs,
    runs,
    leases,
    late_epochs,
    agents,
)
