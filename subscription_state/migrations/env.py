"""Run by Alembic; the connection is handed in by `subscription_state.migrate`."""

from alembic import context

from subscription_state.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite cannot alter most of a table in place.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
