"""Who changed what."""

import sqlalchemy as sa
from alembic import op

from subscription_state.columns import UtcTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("entry_id", sa.String(), nullable=False),
        sa.Column("create_time", UtcTime(), nullable=False),
        sa.Column("caller", sa.String(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_audit_entry")),
    )
    op.create_index("ix_audit_entry_create_time", "audit_entry", ["create_time", "entry_id"])
    for who in ("account_id", "caller"):
        columns = [who, "create_time", "entry_id"]
        op.create_index(f"ix_audit_entry_{who}", "audit_entry", columns)
