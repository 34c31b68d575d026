"""Adds behind a migration that took something away."""

import sqlalchemy as sa
from alembic import op

revision = "future_3"
down_revision = "future_2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "invented_again",
        sa.Column("invented_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("invented_id"),
    )
