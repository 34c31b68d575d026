"""Indexes for what is asked all the time, and why a customer could not be verified."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("touched", schema=None) as batch_op:
        batch_op.add_column(sa.Column("error", sa.String(), nullable=True))
    kept = sa.column("deleted", sa.Boolean()).is_(False)
    op.create_index(
        "ix_customer_verified_at",
        "customer",
        ["verified_at", "customer_id"],
        sqlite_where=kept,
        postgresql_where=kept,
    )
    failed = sa.column("state", sa.String()) == sa.literal_column("'failed'")
    op.create_index(
        "ix_event_failed",
        "event",
        ["receive_time", "event_id"],
        sqlite_where=failed,
        postgresql_where=failed,
    )
