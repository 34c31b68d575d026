"""Which spans touched a customer, so that a trace goes on where it is verified."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("touched", sa.Column("traceparents", sa.String))
