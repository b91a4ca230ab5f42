"""What trained networks look like from inside."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns and a table."""
    with op.batch_alter_table("sweep_trials") as batch:
        batch.add_column(
            _number(
                "inference_seconds",
                "wall time of a forward pass of 128 images on one core, by numpy",
            )
        )
        batch.add_column(_number("zero_weights", "share of kernel weights that are zero, 0 to 1"))
    op.create_table(
        "sweep_layers",
        sa.Column("trial_id", sa.Integer(), nullable=False, comment="Optuna's id of the trial"),
        sa.Column(
            "layer",
            sa.Integer(),
            nullable=False,
            autoincrement=False,
            comment="from 1; the output layer is the last one",
        ),
        _number("mean", "mean of its outputs over units and validation images"),
        _number("std", "standard deviation of its outputs"),
        _number("dead", "share of its units that let nothing pass, 0 to 1"),
        _number("gradient_norm", "norm of the loss's gradient of its kernel"),
        sa.ForeignKeyConstraint(["trial_id"], ["sweep_trials.trial_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("trial_id", "layer"),
        comment="the layers of trained networks with the kept weights, on 128 validation images; "
        "one row per trial and layer, numbers NULL where they were not finite",
    )


def _number(name: str, meaning: str) -> sa.Column[float]:
    return sa.Column(name, sa.Float(precision=53), comment=meaning)
