"""Bring the database's schema up to date, and tell whether it is."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import head
from subscription_state.database import Database
from subscription_state.errors import SchemaOutdated
from subscription_state.tables import head as head_table

MIGRATIONS = Path(__file__).parent / "migrations"

#: How long a migration waits for a table, in seconds: meanwhile everybody else waits behind it.
LOCK_TIMEOUT = 3.0


async def upgrade(database: Database) -> str:
    """Apply the missing migrations; give the schema's version. Repeating it changes nothing."""
    await database.run_sync(_upgrade)
    await database.write(_start_history_once)
    return newest()


async def check(database: Database) -> None:
    """Raise `SchemaOutdated` unless every migration that this version knows has been applied.

    A schema that it does not know is newer: while a new version is rolled out, the
    old one goes on beside it.
    """
    async with database.read() as connection:
        applied = await connection.run_sync(_applied)
    if applied is None or (applied in versions() and applied != newest()):
        raise SchemaOutdated(f"The schema is at {applied or 'nothing'}, {newest()} is needed.")


def newest() -> str:
    return versions()[0]


@cache
def versions() -> tuple[str, ...]:
    """Name every migration of this version of the code, newest first."""
    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    return tuple(script.revision for script in scripts)


def _upgrade(connection: Connection, version: str = "head") -> None:
    _wait_for_others(connection)
    _limit_locks(connection)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, version)


def _wait_for_others(connection: Connection) -> None:
    """Take the version's row: of two that migrate at once, the second finds the work done."""
    if inspect(connection).has_table("alembic_version"):
        connection.execute(text("UPDATE alembic_version SET version_num = version_num"))


def _limit_locks(connection: Connection) -> None:
    """Rather give up and try again than hold up everybody who wants a table that is in use."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL lock_timeout = {round(LOCK_TIMEOUT * 1000)}"))


def _applied(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


async def _start_history_once(connection: AsyncConnection) -> None:
    rows = await connection.execute(select(func.count()).select_from(head_table))
    if rows.scalar_one() == 0:
        await head.start_history(connection)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config
