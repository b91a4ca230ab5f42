"""The first tables: studies, trials, epochs, workers, logs."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    _studies()
    _trials()
    _epochs()
    _workers()
    _logs()


def _studies() -> None:
    op.create_table(
        "sweep_studies",
        sa.Column("study_id", sa.Integer(), nullable=False, comment="Optuna's id of the study"),
        sa.Column("name", sa.String(length=100), nullable=False, comment="name of the study"),
        sa.Column(
            "spec", sa.Text(), nullable=False, comment="resolved study file of the last run, YAML"
        ),
        sa.Column(
            "space_hash",
            sa.String(length=64),
            nullable=False,
            comment="digest of what must not change",
        ),
        sa.Column(
            "objectives",
            sa.JSON(),
            nullable=False,
            comment="metric and direction of each objective, in Optuna's order",
        ),
        sa.Column("data_name", sa.Text(), nullable=False, comment="data trained on"),
        sa.Column(
            "data_is_fallback",
            sa.Boolean(),
            nullable=False,
            comment="whether the data stands in for what the study file asked for",
        ),
        sa.Column(
            "data_fingerprint",
            sa.String(length=64),
            nullable=False,
            comment="digest of images and splits",
        ),
        sa.Column("seed", sa.Integer(), nullable=False, comment="seed of the study"),
        sa.Column(
            "versions",
            sa.JSON(),
            nullable=False,
            comment="package versions of the last run, by name",
        ),
        sa.Column(
            "git_revision",
            sa.String(length=64),
            nullable=True,
            comment="commit of the working directory, last run",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="time of the first run, UTC",
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="start of the last run, UTC",
        ),
        sa.ForeignKeyConstraint(["study_id"], ["studies.study_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("study_id"),
        sa.UniqueConstraint("name"),
        comment="what a study was started with; one row per study",
    )


def _trials() -> None:
    op.create_table(
        "sweep_trials",
        sa.Column("trial_id", sa.Integer(), nullable=False, comment="Optuna's id of the trial"),
        sa.Column("study_id", sa.Integer(), nullable=False, comment="Optuna's id of the study"),
        sa.Column(
            "number", sa.Integer(), nullable=False, comment="trial number within the study, from 0"
        ),
        sa.Column(
            "config",
            sa.JSON(none_as_null=True),
            nullable=True,
            comment="every setting of the network and its training, by name",
        ),
        sa.Column("seed", sa.Integer(), nullable=True, comment="seed of the trial's randomness"),
        sa.Column(
            "attempt",
            sa.Integer(),
            nullable=True,
            comment="1, or more if a worker was lost while it trained",
        ),
        sa.Column(
            "worker",
            sa.String(length=100),
            nullable=True,
            comment="name of the worker that trained it last",
        ),
        sa.Column(
            "started_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="start of the last attempt, UTC",
        ),
        sa.Column(
            "ended_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="end of the last attempt, UTC",
        ),
        sa.Column("engine", sa.String(length=50), nullable=True, comment="engine that trained it"),
        sa.Column(
            "device",
            sa.String(length=50),
            nullable=True,
            comment="device it trained on, for example cpu:0",
        ),
        sa.Column(
            "seconds",
            sa.Float(precision=53),
            nullable=True,
            comment="wall time from admission to retirement",
        ),
        sa.Column("epochs", sa.Integer(), nullable=True, comment="epochs trained"),
        sa.Column(
            "kept_epoch",
            sa.Integer(),
            nullable=True,
            comment="epoch whose weights were kept, from 1",
        ),
        sa.Column(
            "parameters", sa.Integer(), nullable=True, comment="number of weights of the network"
        ),
        sa.Column(
            "stop_reason",
            sa.String(length=20),
            nullable=True,
            comment="completed, early_stopping, diverged, pruned or interrupted",
        ),
        sa.Column(
            "weights",
            sa.Text(),
            nullable=True,
            comment=".keras file of the kept weights, while it is kept",
        ),
        sa.Column(
            "error", sa.Text(), nullable=True, comment="why a failed trial failed, one line"
        ),
        sa.Column(
            "traceback", sa.Text(), nullable=True, comment="Python traceback of the failure"
        ),
        sa.Column(
            "log",
            sa.Text(),
            nullable=True,
            comment="last lines that the worker of a failed trial wrote",
        ),
        sa.ForeignKeyConstraint(["study_id"], ["studies.study_id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.trial_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("trial_id"),
        sa.UniqueConstraint("study_id", "number", name="uq_sweep_trials_study_id_number"),
        comment="how each trial was trained and ended; one row per trial, of its last attempt",
    )


def _epochs() -> None:
    op.create_table(
        "sweep_epochs",
        sa.Column("trial_id", sa.Integer(), nullable=False, comment="Optuna's id of the trial"),
        sa.Column("epoch", sa.Integer(), nullable=False, comment="epochs trained so far, from 1"),
        sa.Column(
            "loss",
            sa.Float(precision=53),
            nullable=True,
            comment="training loss; NULL where it was not finite",
        ),
        sa.Column(
            "accuracy", sa.Float(precision=53), nullable=True, comment="training accuracy, 0 to 1"
        ),
        sa.Column(
            "val_loss",
            sa.Float(precision=53),
            nullable=True,
            comment="validation loss; NULL where it was not finite",
        ),
        sa.Column(
            "val_accuracy",
            sa.Float(precision=53),
            nullable=True,
            comment="validation accuracy, 0 to 1",
        ),
        sa.Column(
            "learning_rate",
            sa.Float(precision=53),
            nullable=True,
            comment="rate of the epoch's last step",
        ),
        sa.Column(
            "seconds",
            sa.Float(precision=53),
            nullable=True,
            comment="wall time of the epoch, validation included",
        ),
        sa.Column(
            "reported_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when it was reported, UTC",
        ),
        sa.ForeignKeyConstraint(["trial_id"], ["sweep_trials.trial_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("trial_id", "epoch"),
        comment="learning curves; one row per trial and epoch",
    )


def _workers() -> None:
    op.create_table(
        "sweep_workers",
        sa.Column("worker_id", sa.Integer(), nullable=False, comment="in order of appearance"),
        sa.Column("study_id", sa.Integer(), nullable=False, comment="Optuna's id of the study"),
        sa.Column(
            "worker",
            sa.String(length=100),
            nullable=False,
            comment="name; a replacement has the same",
        ),
        sa.Column("pid", sa.Integer(), nullable=False, comment="process id"),
        sa.Column("host", sa.String(length=255), nullable=False, comment="name of its machine"),
        sa.Column("device", sa.String(length=50), nullable=False, comment="device it trains on"),
        sa.Column("engine", sa.String(length=50), nullable=False, comment="engine it trains with"),
        sa.Column(
            "ready_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when it could train, UTC",
        ),
        sa.Column(
            "ended_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when it was lost or its run ended, UTC",
        ),
        sa.Column("end_reason", sa.Text(), nullable=True, comment="why it is no longer there"),
        sa.ForeignKeyConstraint(["study_id"], ["studies.study_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("worker_id"),
        comment="worker processes; one row per process",
    )
    op.create_index("ix_sweep_workers_study_id", "sweep_workers", ["study_id"], unique=False)


def _logs() -> None:
    op.create_table(
        "sweep_logs",
        sa.Column("log_id", sa.Integer(), nullable=False, comment="in order of writing"),
        sa.Column("study_id", sa.Integer(), nullable=False, comment="Optuna's id of the study"),
        sa.Column(
            "logged_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when it was written, UTC",
        ),
        sa.Column(
            "level", sa.String(length=10), nullable=False, comment="debug, info, warning or error"
        ),
        sa.Column(
            "number", sa.Integer(), nullable=True, comment="trial number, if it concerns a trial"
        ),
        sa.Column(
            "worker",
            sa.String(length=100),
            nullable=True,
            comment="name of the worker, if it concerns a worker",
        ),
        sa.Column("message", sa.Text(), nullable=False, comment="one or more lines"),
        sa.ForeignKeyConstraint(["study_id"], ["studies.study_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("log_id"),
        comment="what happened in a study; one row per message",
    )
    op.create_index("ix_sweep_logs_study_id", "sweep_logs", ["study_id"], unique=False)
