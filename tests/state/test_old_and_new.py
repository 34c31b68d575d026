"""Each earlier schema, filled, is migrated to this one: rows stay, and older code goes on.

Older code is played by its own tables, read from the database before it is migrated.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    insert,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import migrate
from subscription_state.database import Database
from subscription_state.schema_history import OURS, Phase
from subscription_state.tables import metadata
from tests.builders import NOW
from tests.state.steps import upgrade_to

EARLIER = [each.version for each in OURS.migrations[:-1]]
NOT_OURS = {"alembic_version"}
#: By type, what a row numbered so holds; every type that a column has must be here.
VALUES = {
    Boolean: lambda _: False,
    DateTime: lambda _: NOW,
    Integer: lambda number: number,
    BigInteger: lambda number: number,
    JSON: lambda number: [number],
    LargeBinary: lambda number: b"%d" % number,
    String: lambda number: f"row {number}",
}


def _value(column: Column[Any], number: int) -> Any:
    [make] = [make for kind, make in VALUES.items() if type(column.type).__mro__.count(kind)][:1]
    return make(number)


def _row(table: Table, number: int) -> dict[str, Any]:
    return {column.name: _value(column, number) for column in table.columns}


async def _tables(database: Database) -> dict[str, Table]:
    """Read the tables as they are, which is as the code of that schema had them."""
    found = MetaData()
    async with database.read() as connection:
        await connection.run_sync(found.reflect)
    return {name: table for name, table in found.tables.items() if name not in NOT_OURS}


async def _write(database: Database, tables: Mapping[str, Table], number: int) -> None:
    async def work(connection: AsyncConnection) -> None:
        for table in tables.values():
            await connection.execute(insert(table).values(**_row(table, number)))

    await database.write(work)


async def _rows(database: Database, table: Table) -> list[tuple[Any, ...]]:
    async with database.read() as connection:
        return sorted(map(tuple, await connection.execute(select(table))), key=str)


@pytest.mark.parametrize("version", EARLIER)
async def test_rows_stay_and_older_code_goes_on(empty_database: Database, version: str) -> None:
    await empty_database.run_sync(partial(upgrade_to, version=version))
    older = await _tables(empty_database)
    await _write(empty_database, older, 7)
    before = {name: await _rows(empty_database, table) for name, table in older.items()}

    await migrate.upgrade(empty_database, Phase.BEFORE)

    await migrate.check(empty_database)
    assert {name: await _rows(empty_database, table) for name, table in older.items()} == before
    # What older code writes, it knows no better; what it wrote, this code can read.
    await _write(empty_database, older, 8)
    for name in older:
        assert len(await _rows(empty_database, metadata.tables[name])) == 2


@pytest.mark.parametrize("version", EARLIER)
async def test_one_step_at_a_time_leads_to_the_same(empty_database: Database, version: str) -> None:
    start = EARLIER.index(version)
    await empty_database.run_sync(partial(upgrade_to, version=version))
    await _write(empty_database, await _tables(empty_database), 7)
    for migration in OURS.migrations[start + 1 :]:
        await empty_database.run_sync(partial(upgrade_to, version=migration.version))

    await migrate.check(empty_database)

    found = await _tables(empty_database)
    assert {name: set(table.columns.keys()) for name, table in found.items()} == {
        name: set(table.columns.keys()) for name, table in metadata.tables.items()
    }
