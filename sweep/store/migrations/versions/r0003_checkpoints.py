"""Where trials go on after a break."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    with op.batch_alter_table("sweep_trials") as batch:
        batch.add_column(
            sa.Column(
                "checkpoint",
                sa.Text(),
                nullable=True,
                comment="name of the checkpoint that it would go on from",
            )
        )
        batch.add_column(
            sa.Column(
                "checkpoint_epoch",
                sa.Integer(),
                nullable=True,
                comment="last epoch before that checkpoint",
            )
        )
