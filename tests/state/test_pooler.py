"""Behind a pooler in transaction mode each transaction may have another session: nothing is lost.

The suites of reading, writing, locking and verifying are run a second time, through a real
PgBouncer with fewer sessions than connections.
"""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import head, migrate, touches
from subscription_state.database import Database
from subscription_state.errors import StateUnavailable
from subscription_state.postgresql import Connections
from tests.builders import NOW
from tests.pgbouncer import SESSIONS, PgBouncer, pgbouncer
from tests.postgres import Postgres
from tests.state.test_customers import TestLinking, TestLocking, TestTickets
from tests.state.test_database import TestFaultsOfOurs, TestReading
from tests.state.test_ingest import TestASubscriptionsEvent, TestDeliveries
from tests.state.test_verification import TestFences, TestWhatIsSaved

__all__ = [
    "TestASubscriptionsEvent",
    "TestDeliveries",
    "TestFaultsOfOurs",
    "TestFences",
    "TestLinking",
    "TestLocking",
    "TestReading",
    "TestTickets",
    "TestWhatIsSaved",
    "pgbouncer",
]

POOLED = Connections(transaction_pooler=True)
MANY = SESSIONS * 6


@pytest.fixture
def database_url(pgbouncer: PgBouncer, postgresql_url: str, postgresql_name: str) -> str:
    return pgbouncer.url(postgresql_name)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database.at(database_url, POOLED)
    yield opened
    await opened.close()


async def _sessions(database: Database) -> set[int]:
    async def work(connection: AsyncConnection) -> int:
        pid = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        await connection.execute(text("SELECT pg_sleep(0.01)"))
        return int(pid)

    return set(await asyncio.gather(*(database.write(work) for _ in range(MANY))))


async def test_sessions_are_really_shared(database: Database) -> None:
    assert len(await _sessions(database)) == SESSIONS


async def test_the_same_statements_are_run_by_many_at_once(database: Database) -> None:
    async def work(connection: AsyncConnection) -> int:
        ticket = await head.draw(connection)
        await touches.touch(connection, f"cus_{ticket}", ticket=ticket, urgent=True, now=NOW)
        await touches.backlog(connection)
        return ticket

    for _ in range(5):
        drawn = await asyncio.gather(*(database.write(work) for _ in range(MANY)))
        assert len(set(drawn)) == MANY

    async with database.read() as connection:
        assert (await touches.backlog(connection)).urgent.customers == 5 * MANY


async def test_snapshots_and_writes_that_share_sessions_do_not_mix(database: Database) -> None:
    async def look() -> bool:
        async with database.read() as connection:
            before = await head.current(connection)
            await asyncio.sleep(0)
            return before == await head.current(connection)

    seen = await asyncio.gather(
        *(look() for _ in range(MANY)), *(database.write(head.draw) for _ in range(MANY))
    )

    assert False not in seen[:MANY]


async def test_no_session_keeps_anything_of_ours(
    database: Database, pgbouncer: PgBouncer, postgresql_name: str
) -> None:
    await _sessions(database)
    barrier = asyncio.Barrier(SESSIONS)

    async def left() -> tuple[int, str]:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=pgbouncer.port, database=postgresql_name, statement_cache_size=0
        )
        async with connection.transaction():
            # Each has a session of its own meanwhile.
            await barrier.wait()
            names = await connection.fetchval("SELECT count(*) FROM pg_prepared_statements")
            limit = await connection.fetchval("SHOW statement_timeout")
        await connection.close()
        return names, limit

    assert await asyncio.gather(*(left() for _ in range(SESSIONS))) == [(0, "0")] * SESSIONS


async def test_each_transaction_has_its_limits(database: Database) -> None:
    async def limits(connection: AsyncConnection) -> list[str]:
        names = ("statement_timeout", "idle_in_transaction_session_timeout")
        return [(await connection.execute(text(f"SHOW {name}"))).scalar_one() for name in names]

    async with database.read() as connection:
        read = await limits(connection)

    assert read == await database.write(limits) == ["10s", "30s"]


async def test_a_statement_that_takes_too_long_is_given_up(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subscription_state.postgresql.STATEMENT_TIMEOUT", 0.05)
    hurried = Database.at(database_url, POOLED)

    with pytest.raises(StateUnavailable):
        await hurried.write(lambda connection: connection.execute(text("SELECT pg_sleep(20)")))

    await hurried.close()


async def test_migrations_go_through_it_too(postgres: Postgres, pgbouncer: PgBouncer) -> None:
    name = await postgres.create()
    database = Database.at(pgbouncer.url(name), POOLED)

    await migrate.upgrade(database)

    await migrate.check(database)
    await database.close()


async def test_without_the_setting_the_pooler_refuses_us(database_url: str) -> None:
    """So nobody finds out later."""
    direct = Database.at(database_url)

    with pytest.raises(StateUnavailable):
        await direct.ping()

    await direct.close()
