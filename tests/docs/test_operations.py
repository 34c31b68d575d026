"""What operators are told to do to the database does what it is said to do."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import customers, head, migrate, touches
from subscription_state.database import Database
from tests.docs.pages import page
from tests.postgres import Postgres

OPERATIONS = page("docs/operations.md")
TITLES = {"sqlite": "-- SQLite", "postgresql": "-- PostgreSQL"}


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'paidup.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.url(asyncio.run(server.create()))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database.at(database_url)
    await migrate.upgrade(opened)
    yield opened
    await opened.close()


def _statements(dialect: str) -> list[str]:
    blocks = [block for block in OPERATIONS.code("sql") if block.startswith(TITLES[dialect])]
    assert len(blocks) == 1
    return [each.strip() for each in blocks[0].split(";") if each.strip()]


async def test_after_a_restore_old_revisions_are_refused_and_every_customer_is_read(
    database: Database,
) -> None:
    known = ["cus_1", "cus_2"]
    await database.write(lambda connection: customers.lock(connection, known))
    async with database.read() as connection:
        before = await head.current(connection)

    async def restore(connection: AsyncConnection) -> None:
        for statement in _statements(database.dialect):
            await connection.execute(text(statement))

    await database.write(restore)

    soon = datetime.now(UTC) + timedelta(seconds=1)
    async with database.read() as connection:
        after = await head.current(connection)
        due = await touches.due(connection, now=soon, limit=10)
    assert after.epoch != before.epoch
    assert str(after) != str(before)
    assert [each.customer_id for each in due] == known


async def test_a_read_clears_what_the_restore_touched(database: Database) -> None:
    await database.write(lambda connection: customers.lock(connection, ["cus_1"]))

    async def restore_and_read(connection: AsyncConnection) -> None:
        for statement in _statements(database.dialect):
            await connection.execute(text(statement))
        ticket = await head.draw(connection)
        await touches.clear(connection, "cus_1", up_to=ticket)

    await database.write(restore_and_read)

    async with database.read() as connection:
        assert await touches.backlog(connection) == touches.Backlog()
