"""Remarks on trials, and how the time of each run was spent."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and the table."""
    with op.batch_alter_table("sweep_trials") as batch:
        batch.add_column(
            sa.Column(
                "remark",
                sa.Text(),
                nullable=True,
                comment="what was unusual in its training, a sentence",
            )
        )
    _runs()


def _runs() -> None:
    op.create_table(
        "sweep_runs",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="in order of beginning"),
        sa.Column("study_id", sa.Integer(), nullable=False, comment="Optuna's id of the study"),
        sa.Column(
            "started_at", sa.DateTime(timezone=True), nullable=False, comment="its start, UTC"
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when these figures were written, UTC",
        ),
        sa.Column("workers", sa.Integer(), nullable=False, comment="workers that it started"),
        _seconds("seconds", "wall time of the run"),
        _seconds("training_seconds", "workers' time spent on training and validation"),
        _seconds("compiling_seconds", "workers' time spent on building and compiling"),
        _seconds("idle_seconds", "workers' time spent on waiting, their start left out"),
        _seconds("sampling_seconds", "driver's time spent on asking the sampler"),
        _seconds("storage_seconds", "driver's time spent on the database and the pruner"),
        sa.ForeignKeyConstraint(["study_id"], ["studies.study_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id"),
        comment="how time was spent; one row per run of a study",
    )
    op.create_index("ix_sweep_runs_study_id", "sweep_runs", ["study_id"], unique=False)


def _seconds(name: str, meaning: str) -> sa.Column[float]:
    return sa.Column(name, sa.Float(precision=53), nullable=False, comment=meaning)
