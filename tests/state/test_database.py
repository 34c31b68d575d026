"""One way in to SQLite and PostgreSQL: snapshots, retried transactions, one error for outages."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import customers, head, migrate, postgresql
from subscription_state.database import WRITE_ATTEMPTS, Database
from subscription_state.errors import StateUnavailable
from subscription_state.postgresql import Connections
from subscription_state.tables import account, customer
from tests.builders import NOW
from tests.postgres import Postgres


async def _count(connection: AsyncConnection) -> int:
    found = await connection.execute(select(func.count()).select_from(account))
    return int(found.scalar_one())


async def _revision_of(connection: AsyncConnection, account_id: str) -> int:
    found = await connection.execute(
        select(account.c.revision).where(account.c.account_id == account_id)
    )
    return int(found.scalar_one())


async def _add(database: Database, account_id: str) -> None:
    async def work(connection: AsyncConnection) -> None:
        revision = await head.draw(connection)
        await connection.execute(insert(account).values(account_id=account_id, revision=revision))

    await database.write(work)


class TestReading:
    async def test_one_read_sees_one_revision_while_others_write(self, database: Database) -> None:
        await _add(database, "acct_0")

        async with database.read() as connection:
            before = await head.current(connection), await _count(connection)
            await asyncio.gather(*(_add(database, f"acct_{n}") for n in range(1, 4)))
            after = await head.current(connection), await _count(connection)

        assert before == after
        async with database.read() as connection:
            assert await _count(connection) == 4

    async def test_reads_do_not_wait_for_a_writer(self, database: Database) -> None:
        async def work(connection: AsyncConnection) -> int:
            await head.draw(connection)
            async with database.read() as reading:
                return await _count(reading)

        assert await asyncio.wait_for(database.write(work), timeout=5) == 0

    async def test_an_error_of_the_callers_own_passes_unchanged(self, database: Database) -> None:
        with pytest.raises(LookupError):
            async with database.read():
                raise LookupError


class TestWriting:
    async def test_all_is_saved_or_nothing(self, database: Database) -> None:
        async def work(connection: AsyncConnection) -> None:
            await connection.execute(insert(account).values(account_id="acct_1", revision=1))
            raise LookupError

        with pytest.raises(LookupError):
            await database.write(work)

        async with database.read() as connection:
            assert await _count(connection) == 0

    async def test_many_writers_at_once_are_all_served(self, database: Database) -> None:
        """SQLite alone would let some of them starve until their time is over."""

        async def work(connection: AsyncConnection) -> int:
            drawn = await head.draw(connection)
            await asyncio.sleep(0.002)
            return drawn

        drawn = await asyncio.gather(*(database.write(work) for _ in range(100)))

        assert len(set(drawn)) == 100
        if database.dialect == "sqlite":
            # In the order of asking: nobody is overtaken.
            assert drawn == sorted(drawn)

    async def test_a_write_within_a_write_gives_up_rather_than_waiting_for_itself(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if database.dialect == "postgresql":
            pytest.skip("PostgreSQL lets both in; their statements wait, within a time limit.")
        monkeypatch.setattr("subscription_state.database.BUSY_TIMEOUT", 0.01)

        with pytest.raises(StateUnavailable):
            await database.write(lambda _connection: database.write(head.draw))

    async def test_writers_that_read_first_lose_no_update(self, database: Database) -> None:
        await _add(database, "acct_1")
        async with database.read() as connection:
            before = await _revision_of(connection, "acct_1")

        async def increment(connection: AsyncConnection) -> None:
            await head.draw(connection)
            now = await _revision_of(connection, "acct_1")
            await connection.execute(update(account).values(revision=now + 1))

        await asyncio.gather(*(database.write(increment) for _ in range(8)))

        async with database.read() as connection:
            assert await _revision_of(connection, "acct_1") == before + 8

    async def test_two_writers_that_wait_for_each_other_both_succeed(
        self, database: Database
    ) -> None:
        """On PostgreSQL a real deadlock: one is refused by the server, and repeated."""
        await asyncio.gather(_add(database, "acct_1"), _add(database, "acct_2"))
        attempts: list[str] = []
        barrier = Meeting(2)

        async def cross(connection: AsyncConnection, first: str, second: str) -> None:
            attempts.append(first)
            if connection.dialect.name == "postgresql":
                await connection.execute(text("SET LOCAL deadlock_timeout = '10ms'"))
            await _bump(connection, first)
            await barrier.wait_if_possible(connection)
            await _bump(connection, second)

        await asyncio.gather(
            database.write(lambda connection: cross(connection, "acct_1", "acct_2")),
            database.write(lambda connection: cross(connection, "acct_2", "acct_1")),
        )

        async with database.read() as connection:
            revisions = [await _revision_of(connection, f"acct_{n}") for n in (1, 2)]
        assert [revision // 1000 for revision in revisions] == [2, 2]
        assert len(attempts) == (3 if database.dialect == "postgresql" else 2)

    async def test_a_serialization_failure_is_repeated(self, database: Database) -> None:
        if database.dialect == "sqlite":
            pytest.skip("SQLite lets one writer in at a time: there is none to fail.")
        await _add(database, "acct_1")
        attempts = 0

        async def work(connection: AsyncConnection) -> None:
            nonlocal attempts
            attempts += 1
            await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            await _revision_of(connection, "acct_1")
            if attempts == 1:
                await database.write(lambda other: _bump(other, "acct_1"))
            await _bump(connection, "acct_1")

        await database.write(work)

        assert attempts == 2

    async def test_a_key_taken_meanwhile_is_repeated_and_then_seen(
        self, database: Database
    ) -> None:
        if database.dialect == "sqlite":
            pytest.skip("SQLite lets one writer in at a time: no key is taken meanwhile.")
        attempts = 0

        async def add_once(connection: AsyncConnection) -> bool:
            nonlocal attempts
            attempts += 1
            if await _count(connection):
                return False
            if attempts == 1:
                await _add(database, "acct_1")
            await connection.execute(insert(account).values(account_id="acct_1", revision=1))
            return True

        assert await database.write(add_once) is False
        assert attempts == 2

    async def test_a_writer_that_never_gets_through_is_told_so(self, database: Database) -> None:
        if database.dialect == "sqlite":
            pytest.skip("SQLite lets one writer in at a time: there is no conflict to repeat.")
        await _add(database, "acct_1")
        attempts = 0

        async def work(connection: AsyncConnection) -> None:
            nonlocal attempts
            attempts += 1
            await connection.execute(insert(account).values(account_id="acct_1", revision=1))

        with pytest.raises(StateUnavailable, match="busy"):
            await database.write(work)
        assert attempts == WRITE_ATTEMPTS

    async def test_a_conflict_outside_of_a_write_is_an_outage_to_callers(
        self, database: Database
    ) -> None:
        if database.dialect == "sqlite":
            pytest.skip("SQLite lets one writer in at a time: there is no conflict.")

        async def conflict() -> None:
            async with database.read() as connection:
                await connection.execute(text("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$"))

        with pytest.raises(StateUnavailable):
            await conflict()


class Meeting:
    """Lets transactions wait for each other where the database lets both in."""

    def __init__(self, parties: int) -> None:
        self._barrier = asyncio.Barrier(parties)
        self._met = False

    async def wait_if_possible(self, connection: AsyncConnection) -> None:
        if self._met or connection.dialect.name == "sqlite":
            return
        await self._barrier.wait()
        self._met = True


async def _bump(connection: AsyncConnection, account_id: str) -> None:
    await connection.execute(
        update(account)
        .where(account.c.account_id == account_id)
        .values(revision=account.c.revision + 1000)
    )


class TestOutages:
    async def _refused(self, database: Database) -> list[StateUnavailable]:
        """Give the error of every way in."""

        async def read() -> None:
            async with database.read() as connection:
                await head.current(connection)

        errors = []
        for way in (
            read(),
            database.write(head.draw),
            database.ping(),
            database.run_sync(lambda connection: connection.execute(text("SELECT 42"))),
        ):
            with pytest.raises(StateUnavailable) as caught:
                await way
            errors.append(caught.value)
        await database.close()
        return errors

    def _hold_no_sql(self, errors: list[StateUnavailable]) -> bool:
        return not any(
            word in str(error).upper()
            for error in errors
            for word in ("SELECT", "UPDATE", "HEAD", "BEGIN")
        )

    async def test_a_server_that_is_down(self, tmp_path: Path) -> None:
        url = f"postgresql+asyncpg://postgres@/paidup?host={tmp_path}"

        assert self._hold_no_sql(await self._refused(Database.at(url)))

    async def test_a_port_that_nobody_listens_on(self) -> None:
        url = "postgresql+asyncpg://postgres@127.0.0.1:1/paidup"

        assert self._hold_no_sql(await self._refused(Database.at(url)))

    async def test_a_database_that_is_not_there(self, postgres: Postgres) -> None:
        assert self._hold_no_sql(await self._refused(Database.at(postgres.url("nowhere"))))

    async def test_a_server_that_has_no_room(self, postgres: Postgres) -> None:
        name = await postgres.create()
        await postgres.run(f'ALTER DATABASE "{name}" WITH CONNECTION LIMIT 0')
        # The limit holds for everybody but the superuser.
        await postgres.run(f'CREATE ROLE "{name}" LOGIN')
        url = postgres.url(name).replace("postgres@", f"{name}@")

        errors = await self._refused(Database.at(url))

        assert self._hold_no_sql(errors)
        await postgres.drop(name)

    async def test_a_file_that_is_no_database(self, tmp_path: Path) -> None:
        path = tmp_path / "paidup.db"
        path.write_bytes(b"This is no database." * 100)

        assert self._hold_no_sql(await self._refused(Database.at(f"sqlite+aiosqlite:///{path}")))

    async def test_a_connection_that_is_cut_in_the_middle(
        self, database: Database, postgres: Postgres
    ) -> None:
        if database.dialect == "sqlite":
            pytest.skip("SQLite has no connection to cut.")

        async def work(connection: AsyncConnection) -> None:
            pid = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            await postgres.run(f"SELECT pg_terminate_backend({pid}, 5000)")
            await head.draw(connection)

        with pytest.raises(StateUnavailable):
            await database.write(work)

        # The next one gets a fresh connection.
        assert await database.write(head.draw) > 0

    async def test_a_statement_that_takes_too_long(self, database: Database) -> None:
        if database.dialect == "sqlite":
            pytest.skip("SQLite has no time limit for a statement.")

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(text("SET LOCAL statement_timeout = 20"))
            await connection.execute(text("SELECT pg_sleep(5)"))

        with pytest.raises(StateUnavailable):
            await database.write(work)

    async def test_a_process_takes_no_more_connections_than_it_may(
        self, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("subscription_state.postgresql.POOL_TIMEOUT", 0.05)
        database = Database.at(postgresql_url, Connections(size=1, overflow=1))

        async with database.read(), database.read():
            with pytest.raises(StateUnavailable):
                await database.ping()

        await database.ping()
        await database.close()

    async def test_a_migration_may_take_longer_than_a_call(
        self, empty_database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if empty_database.dialect == "sqlite":
            pytest.skip("SQLite has no time limit for a statement.")
        monkeypatch.setattr("subscription_state.postgresql.STATEMENT_TIMEOUT", 0.1)
        hurried = Database(postgresql.engine(empty_database._engine.url, Connections()))
        slow = text("SELECT pg_sleep(0.3), 42")

        with pytest.raises(StateUnavailable):
            await hurried.write(lambda connection: connection.execute(slow))
        done = await hurried.run_sync(lambda connection: connection.execute(slow).one())

        assert done[1] == 42
        await hurried.close()

    async def test_a_migration_waits_for_a_table_no_longer_than_it_may(
        self, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """While it waits, everybody else waits behind it: it gives up, and tries again."""
        monkeypatch.setattr("subscription_state.migrate.LOCK_TIMEOUT", 0.05)
        database = Database.at(postgresql_url)
        tries = []

        def migration(connection: Connection) -> None:
            migrate._limit_locks(connection)
            tries.append(connection)
            connection.execute(text("LOCK TABLE change IN ACCESS EXCLUSIVE MODE"))

        async with database.read() as connection:
            await connection.execute(text("SELECT count(*) FROM change"))
            with pytest.raises(StateUnavailable, match="busy"):
                await database.run_sync(migration)

        assert len(tries) == WRITE_ATTEMPTS
        await database.close()

    async def test_a_writer_that_holds_sqlite_for_too_long(
        self, database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if database.dialect == "postgresql":
            pytest.skip("PostgreSQL locks rows, not the database.")

        async def work(connection: AsyncConnection) -> None:
            await head.draw(connection)
            with pytest.raises(StateUnavailable):
                await impatient.write(head.draw)

        monkeypatch.setattr("subscription_state.database.BUSY_TIMEOUT", 0)
        impatient = Database.at(database_url)
        await database.write(work)
        await impatient.close()


class TestFaultsOfOurs:
    async def test_a_wrong_statement_is_no_outage_and_shows_no_values(
        self, database: Database
    ) -> None:
        async def work(connection: AsyncConnection) -> None:
            await connection.execute(
                text("INSERT INTO account (account_id, no_such_column) VALUES (:secret, 1)"),
                {"secret": "jenny@example.com"},
            )

        with pytest.raises((DBAPIError, StateUnavailable)) as caught:
            await database.write(work)

        chain = [caught.value, caught.value.__cause__]
        assert not any("jenny" in str(error) for error in chain)

    @pytest.mark.parametrize("value", ["\ud800", "\x00", [], 10**30], ids=repr)
    async def test_a_value_that_cannot_be_stored_is_no_outage(
        self, database: Database, value: object
    ) -> None:
        async def work(connection: AsyncConnection) -> None:
            await connection.execute(insert(account).values(account_id=value, revision=1))

        try:
            await database.write(work)
        except StateUnavailable:
            pytest.fail("This would be repeated for ever.")
        except (DBAPIError, ValueError, TypeError, OverflowError):
            return
        assert database.dialect == "sqlite"


async def test_the_directory_of_a_new_database_is_made(tmp_path: Path) -> None:
    database = Database.at(f"sqlite+aiosqlite:///{tmp_path}/var/lib/paidup.db")

    await database.ping()

    assert (tmp_path / "var/lib/paidup.db").exists()
    await database.close()


async def test_sqlite_forgets_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    database = Database.at(f"sqlite+aiosqlite:///{tmp_path}/paidup.db")

    async with database.read() as connection:
        journal = (await connection.execute(text("PRAGMA journal_mode"))).scalar_one()
        synchronous = (await connection.execute(text("PRAGMA synchronous"))).scalar_one()

    assert (journal, synchronous) == ("wal", 2)
    await database.close()


async def test_times_come_back_as_they_were_stored(database: Database) -> None:
    precise = NOW.replace(microsecond=123456)

    async def work(connection: AsyncConnection) -> None:
        await customers.lock(connection, ["cus_1"])
        await customers.note_read(connection, "cus_1", 1, precise)

    await database.write(work)

    async with database.read() as connection:
        found = await connection.execute(select(customer.c.verified_at))
        assert found.scalar_one() == precise
