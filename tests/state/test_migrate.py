"""The schema: brought up to date, checked, and the same as the tables in the code."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from functools import partial

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, func, select

from subscription_state import head, migrate
from subscription_state.database import Database
from subscription_state.errors import SchemaOutdated
from subscription_state.schema_history import OURS
from subscription_state.tables import head as head_table
from subscription_state.tables import metadata
from tests.state.steps import upgrade_to


async def test_a_database_that_was_never_migrated_is_outdated(empty_database: Database) -> None:
    with pytest.raises(SchemaOutdated, match="nothing"):
        await migrate.check(empty_database)


async def test_a_migrated_database_is_up_to_date(empty_database: Database) -> None:
    standing = await migrate.upgrade(empty_database)

    await migrate.check(empty_database)

    assert standing == migrate.Standing(applied=OURS.newest)
    assert await migrate.look(empty_database) == standing


async def test_to_look_again_and_again_makes_no_statement_anew(database: Database) -> None:
    async def kept() -> int:
        await migrate.check(database)
        return len(database._engine.sync_engine._compiled_cache or ())

    await kept()
    before = await kept()

    assert await kept() == before > 0


async def test_to_migrate_again_changes_nothing(empty_database: Database) -> None:
    async def history() -> head.Revision:
        async with empty_database.read() as connection:
            return await head.current(connection)

    await migrate.upgrade(empty_database)
    before = await history()

    await migrate.upgrade(empty_database)

    assert await history() == before


REPLICA = """
import asyncio, sys
from subscription_state import migrate
from subscription_state.database import Database

async def start():
    database = Database.at(sys.argv[1])
    print(flush=True)
    sys.stdin.readline()
    await migrate.upgrade(database)
    await database.close()

asyncio.run(start())
"""


@pytest.mark.parametrize("version", [None, "0001"])
async def test_replicas_that_start_at_once_migrate_once(
    empty_database: Database, empty_database_url: str, version: str | None
) -> None:
    if version is not None:
        await empty_database.run_sync(partial(upgrade_to, version=version))
    command = (sys.executable, "-c", REPLICA, empty_database_url)
    replicas = [
        await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE) for _ in range(3)
    ]
    for replica in replicas:
        await replica.stdout.readline()

    await asyncio.gather(*(replica.communicate(b"now\n") for replica in replicas))

    assert [replica.returncode for replica in replicas] == [0, 0, 0]
    await migrate.check(empty_database)
    async with empty_database.read() as connection:
        rows = await connection.execute(select(func.count()).select_from(head_table))
        assert rows.scalar_one() == 1


async def test_the_migrations_make_exactly_the_tables_of_the_code(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))

    assert await database.run_sync(differences) == []


async def test_the_comparison_would_see_a_difference(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        connection.exec_driver_sql("DROP INDEX ix_touched_due")
        connection.exec_driver_sql("ALTER TABLE touched DROP COLUMN attempts")
        found = list(compare_metadata(MigrationContext.configure(connection), metadata))
        connection.rollback()
        return found

    assert [each[0] for each in await database.run_sync(differences)] == [
        "add_column",
        "add_index",
    ]
