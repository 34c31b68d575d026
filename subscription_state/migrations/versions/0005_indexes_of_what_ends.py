"""Indexes for whose entitlements the clock changes soon: late payments and grants."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_subscription_unpaid_since", "subscription", ["unpaid_since"])
    op.create_index("ix_grant_expire_time", "grant", ["expire_time"])
