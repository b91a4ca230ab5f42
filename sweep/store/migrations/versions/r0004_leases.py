"""Leases: several runs may drive one study. The service: studies that agents serve."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns and tables."""
    _runs()
    with op.batch_alter_table("sweep_workers") as batch:
        batch.add_column(sa.Column("run_id", sa.Integer(), comment="run that started it"))
    _leases()
    _late_epochs()
    _studies()
    _agents()


def _runs() -> None:
    # Its ids fence: on SQLite too, none may come back when the last row is deleted.
    is_sqlite = op.get_context().dialect.name == "sqlite"
    with op.batch_alter_table(
        "sweep_runs",
        recreate="always" if is_sqlite else "never",
        table_kwargs={"sqlite_autoincrement": True},
    ) as batch:
        batch.add_column(sa.Column("host", sa.String(255), comment="name of its machine"))
        batch.add_column(sa.Column("pid", sa.Integer(), comment="process id"))
        batch.add_column(_time("expires_at", "until when it holds its trials if not renewed"))
        batch.add_column(_time("ended_at", "when it ended, or was found dead, UTC"))


def _leases() -> None:
    op.create_table(
        "sweep_leases",
        sa.Column("trial_id", sa.Integer(), nullable=False, comment="Optuna's id of the trial"),
        sa.Column("study_id", sa.Integer(), nullable=False, comment="Optuna's id of the study"),
        sa.Column(
            "run_id",
            sa.Integer(),
            nullable=False,
            comment="run that may write about it; another one may take it over",
        ),
        sa.Column(
            "revision",
            sa.Integer(),
            nullable=False,
            comment="grows whenever that run writes about it",
        ),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.trial_id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["study_id"], ["studies.study_id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["run_id"], ["sweep_runs.run_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("trial_id"),
        comment="who trains what; one row per open trial",
    )
    op.create_index("ix_sweep_leases_study_id", "sweep_leases", ["study_id"], unique=False)
    op.create_index("ix_sweep_leases_run_id", "sweep_leases", ["run_id"], unique=False)


def _late_epochs() -> None:
    op.create_table(
        "sweep_late_epochs",
        sa.Column("late_id", sa.Integer(), nullable=False, comment="in order of writing"),
        sa.Column("trial_id", sa.Integer(), nullable=False, comment="Optuna's id of the trial"),
        sa.Column("run_id", sa.Integer(), nullable=False, comment="run that reported it"),
        sa.Column("epoch", sa.Integer(), nullable=False, comment="epochs trained so far, from 1"),
        _number("loss", "training loss; NULL where it was not finite"),
        _number("accuracy", "training accuracy, 0 to 1"),
        _number("val_loss", "validation loss; NULL where it was not finite"),
        _number("val_accuracy", "validation accuracy, 0 to 1"),
        _number("learning_rate", "rate of the epoch's last step"),
        _number("seconds", "wall time of the epoch, validation included"),
        sa.Column(
            "reported_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when it was reported, UTC",
        ),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.trial_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("late_id"),
        comment="epochs reported by a run after another one had taken the trial over; they count "
        "for nothing",
    )
    op.create_index(
        "ix_sweep_late_epochs_trial_id", "sweep_late_epochs", ["trial_id"], unique=False
    )


def _number(name: str, meaning: str) -> sa.Column[float]:
    return sa.Column(name, sa.Float(precision=53), comment=meaning)


def _studies() -> None:
    with op.batch_alter_table("sweep_studies") as batch:
        batch.add_column(
            sa.Column(
                "wanted",
                sa.String(10),
                nullable=False,
                server_default="run",
                comment="what is to become of it: run, pause, stop or cancel",
            )
        )
        batch.add_column(
            sa.Column(
                "priority",
                sa.Integer(),
                nullable=False,
                server_default="0",
                comment="agents serve the highest first",
            )
        )
        batch.add_column(
            sa.Column(
                "weight",
                sa.Float(precision=53),
                nullable=False,
                server_default="1",
                comment="share of the agents among studies of its priority",
            )
        )
        batch.add_column(_time("submitted_at", "when it was submitted to agents, UTC"))


def _agents() -> None:
    op.create_table(
        "sweep_agents",
        sa.Column("agent_id", sa.Integer(), nullable=False, comment="in order of beginning"),
        sa.Column("host", sa.String(255), nullable=False, comment="name of its machine"),
        sa.Column("pid", sa.Integer(), nullable=False, comment="process id"),
        sa.Column("device", sa.String(50), nullable=False, comment="device it trains on"),
        sa.Column("study", sa.String(100), comment="name of the study that it serves, if any"),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False, comment="its start"),
        sa.Column(
            "expires_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="until when it is believed to live if it does not say so again, UTC",
        ),
        sa.Column("ended_at", sa.DateTime(timezone=True), comment="when it ended by itself, UTC"),
        sa.PrimaryKeyConstraint("agent_id"),
        comment="processes that serve studies; one row per device and process",
    )


def _time(name: str, meaning: str) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), comment=meaning)
