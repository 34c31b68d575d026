"""All that a migration may add while this version runs."""

import sqlalchemy as sa
from alembic import op

from subscription_state.schema_history import OURS

revision = "future_1"
down_revision = OURS.newest
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "invented",
        sa.Column("invented_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("invented_id"),
    )
    for name in ("account", "customer", "subscription", "event", "checkout_session"):
        with op.batch_alter_table(name, schema=None) as batch_op:
            batch_op.add_column(sa.Column("invented", sa.String(), nullable=True))
            batch_op.add_column(
                sa.Column("invented_too", sa.Integer(), nullable=False, server_default="0")
            )
        op.create_index(f"ix_{name}_invented", name, ["invented"])
