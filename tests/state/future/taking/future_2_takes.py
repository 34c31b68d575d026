"""Takes away what this version reads and writes."""

from alembic import op

revision = "future_2"
down_revision = "future_1"
branch_labels = None
depends_on = None
phase = "after"


def upgrade() -> None:
    with op.batch_alter_table("touched", schema=None) as batch_op:
        batch_op.drop_column("error")
