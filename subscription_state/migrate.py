"""Bring the database's schema up to date, and tell whether this version of the code can run on it.

What a migration takes away, an older version may need. So it is applied apart, when none is left
(`Phase`), and the database keeps the last such migration: who does not know it is too old.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from alembic import command
from sqlalchemy import Connection, delete, func, insert, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import head
from subscription_state.database import Database
from subscription_state.errors import MigrationBlocked, SchemaOutdated, VersionOutdated
from subscription_state.schema_history import OURS, Migration, Phase, SchemaHistory
from subscription_state.tables import head as head_table
from subscription_state.tables import schema_floor

#: How long a migration waits for a table, in seconds: meanwhile everybody else waits behind it.
LOCK_TIMEOUT = 3.0
FLOOR_ID = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How far the schema is, seen from one version of the code."""

    #: None where the database was never migrated.
    applied: str | None
    #: What this version has besides. Nothing where the schema is newer than this version.
    pending: Sequence[Migration] = ()
    #: The last migration that took something away, where this version does not know it.
    lost: str | None = None

    @property
    def needed(self) -> Sequence[Migration]:
        """What this version cannot do without; on an empty database that is everything."""
        return self.pending if self.applied is None else _of(Phase.BEFORE, self.pending)


async def upgrade(
    database: Database, phase: Phase | None = None, *, history: SchemaHistory = OURS
) -> Standing:
    """Apply what is missing, of one phase or all; repeating it changes nothing.

    A database that was never migrated gets all: no older version runs on it. Raise
    `MigrationBlocked` where something else has to be done first, `VersionOutdated` where
    the schema is too new.
    """
    standing = await database.run_sync(lambda connection: _upgrade(connection, phase, history))
    await database.write(_start_history_once)
    return standing


async def look(database: Database, *, history: SchemaHistory = OURS) -> Standing:
    async with database.read() as connection:
        return await connection.run_sync(lambda sync: _standing(sync, history))


async def check(database: Database, *, history: SchemaHistory = OURS) -> None:
    """Raise `SchemaOutdated` or `VersionOutdated` unless this version can run on the schema.

    A newer schema will do, as long as it only has more.
    """
    standing = await look(database, history=history)
    _refuse_lost(standing)
    if standing.needed:
        at, wanted = standing.applied or "nothing", standing.needed[-1].version
        raise SchemaOutdated(f"The schema is at {at}, {wanted} is needed.")


def _upgrade(connection: Connection, phase: Phase | None, history: SchemaHistory) -> Standing:
    _wait_for_others(connection)
    _limit_locks(connection)
    standing = _standing(connection, history)
    _refuse_lost(standing)
    if due := _due(standing, phase):
        config = history.config()
        config.attributes["connection"] = connection
        command.upgrade(config, due[-1].version)
        standing = _standing(connection, history)
        _keep_floor(connection, history.floor(standing.applied))
    return standing


def _due(standing: Standing, phase: Phase | None) -> Sequence[Migration]:
    """Give the migrations to apply: always the first of those that are pending."""
    if phase is None or standing.applied is None:
        return standing.pending
    if phase is Phase.AFTER:
        _refuse_before(standing)
        return standing.pending
    adding = _until_after(standing.pending)
    if len(adding) < len(standing.needed):
        blocking = standing.pending[len(adding)].version
        raise MigrationBlocked(
            f"{blocking} takes away what an older version may need, and this version needs what "
            "comes behind it. Roll out the version between first, then run its `migrate --phase "
            "after`; or end every process and run `migrate --phase all`."
        )
    return adding


def _refuse_before(standing: Standing) -> None:
    if standing.needed:
        raise MigrationBlocked(
            f"{standing.needed[0].version} has not been applied, so only older versions can be "
            "running: run `migrate --phase before` and roll this version out first."
        )


def _refuse_lost(standing: Standing) -> None:
    if standing.lost is not None:
        raise VersionOutdated(
            f"The schema is at {standing.applied}, and with {standing.lost} it lost what this "
            "version needs: run a newer one."
        )


def _standing(connection: Connection, history: SchemaHistory) -> Standing:
    applied = _applied(connection)
    if applied is None or history.knows(applied):
        return Standing(applied=applied, pending=history.pending(applied))
    floor = connection.execute(select(schema_floor.c.version)).scalar_one_or_none()
    lost = None if floor is None or history.knows(floor) else floor
    return Standing(applied=applied, lost=lost)


def _applied(connection: Connection) -> str | None:
    """Read Alembic's table by a statement that is kept: its own is made anew each time.

    Readiness asks every second, and statements that are made fill the cache of those kept.
    """
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version"))
    return found.scalar_one_or_none()


def _of(phase: Phase, migrations: Sequence[Migration]) -> Sequence[Migration]:
    return [each for each in migrations if each.phase is phase]


def _until_after(migrations: Sequence[Migration]) -> Sequence[Migration]:
    after = [place for place, each in enumerate(migrations) if each.phase is Phase.AFTER]
    return migrations[: after[0]] if after else migrations


def _keep_floor(connection: Connection, version: str | None) -> None:
    if version is not None:
        connection.execute(delete(schema_floor))
        connection.execute(insert(schema_floor).values(floor_id=FLOOR_ID, version=version))


def _wait_for_others(connection: Connection) -> None:
    """Take the version's row: of two that migrate at once, the second finds the work done."""
    if inspect(connection).has_table("alembic_version"):
        connection.execute(text("UPDATE alembic_version SET version_num = version_num"))


def _limit_locks(connection: Connection) -> None:
    """Rather give up and try again than hold up everybody who wants a table that is in use."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL lock_timeout = {round(LOCK_TIMEOUT * 1000)}"))


async def _start_history_once(connection: AsyncConnection) -> None:
    rows = await connection.execute(select(func.count()).select_from(head_table))
    if rows.scalar_one() == 0:
        await head.start_history(connection)
