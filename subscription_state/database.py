"""One way in to SQLite and PostgreSQL: snapshots to read, short transactions to write."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, event, func, make_url, select, text
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from subscription_state import postgresql
from subscription_state.encryption import Keyring
from subscription_state.errors import NotPermitted, StateUnavailable
from subscription_state.postgresql import Connections

#: How long SQLite waits for the other process's transaction, in seconds.
BUSY_TIMEOUT = 5
WRITE_ATTEMPTS = 5

#: A serialization failure, a deadlock, a key that another transaction took between our look and
#: our write, and a lock that a migration did not get: this one did nothing, and repeated it sees
#: what the other did.
RETRYABLE_SQLSTATES = frozenset({"40001", "40P01", "23505", "55P03"})

#: What is wrong with the server rather than with a statement: no connection, a refused user, no
#: such database, no room, an operator's or a time limit's doing, the system's or its own fault.
OUTAGE_SQLSTATE_CLASSES = frozenset({"08", "28", "3D", "53", "57", "58", "XX"})
#: A server that only reads, as after a failover that led here too early.
READ_ONLY_SQLSTATE = "25006"

#: Tables that our role has been given no right to, or not yet.
NOT_PERMITTED_SQLSTATE = "42501"

T = TypeVar("T")


class Database:
    """The shared database. Every method raises `StateUnavailable` when it does not answer."""

    def __init__(
        self,
        engine: AsyncEngine,
        connections: Connections | None = None,
        keyring: Keyring | None = None,
    ) -> None:
        #: What bodies of events are sealed with, and opened.
        self.keyring = keyring or Keyring()
        self._engine = engine
        self._connections = connections or Connections()
        self._writers = asyncio.Lock()

    @classmethod
    def at(
        cls,
        url: str,
        connections: Connections | None = None,
        keyring: Keyring | None = None,
    ) -> "Database":
        """Open the database at an SQLAlchemy URL (`sqlite+aiosqlite` or `postgresql+asyncpg`).

        `connections` are PostgreSQL's; SQLite's are its own. Processes come in by
        `open_database`, which knows their keys.
        """
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return cls(_sqlite(parsed), keyring=keyring)
        return cls(postgresql.engine(parsed, connections or Connections()), connections, keyring)

    @property
    def dialect(self) -> str:
        return self._engine.dialect.name

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Open one snapshot: all statements in it see the same revision."""
        level = {"isolation_level": "REPEATABLE READ"} if self.dialect == "postgresql" else {}
        with _driver_errors():
            async with self._engine.connect() as connection:
                await connection.execution_options(paidup_reads=True, **level)
                async with connection.begin():
                    yield connection

    async def write(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run `work` in one transaction and commit it; repeated when the database asks for it.

        A call that is cancelled first sees its transaction end: cut off in the middle, the
        driver's thread would keep SQLite's lock from everybody else.
        """
        writing = asyncio.create_task(self._write(work))
        try:
            return await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait([writing])
            if not writing.cancelled():
                # Nobody is left to be told; unread, an error would be complained about.
                writing.exception()
            raise

    async def _write(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        for attempt in range(1, WRITE_ATTEMPTS + 1):
            try:
                with _driver_errors():
                    async with self._turn(), self._engine.begin() as connection:
                        return await work(connection)
            except _Conflict:
                if attempt == WRITE_ATTEMPTS:
                    raise
                await asyncio.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311 - jitter
        raise AssertionError("unreachable")

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Let one writer of this process at a time write to SQLite, in the order of asking.

        SQLite does not queue writers: each looks again every now and then, and one
        that always looks at the wrong moment waits until its time is over.
        """
        if self.dialect != "sqlite":
            yield
            return
        async with asyncio.timeout(BUSY_TIMEOUT):
            await self._writers.acquire()
        try:
            yield
        finally:
            self._writers.release()

    async def run_sync(self, work: Callable[[Connection], T]) -> T:
        """Run blocking SQLAlchemy code, such as a migration, as `write` does.

        On PostgreSQL over a connection of its own: a migration may take longer than a call.
        """
        if self.dialect == "sqlite":
            return await self.write(lambda connection: connection.run_sync(work))
        patient = Database(postgresql.patient_engine(self._engine.url, self._connections))
        try:
            return await patient.write(lambda connection: connection.run_sync(work))
        finally:
            await patient.close()

    async def notify(self, channel: str) -> None:
        """Tell whoever listens, in a transaction of its own; on SQLite nobody can.

        Never in one that writes: `NOTIFY` makes commits wait for each other.
        """
        if self.dialect == "sqlite":
            return
        with _driver_errors():
            async with self._engine.connect() as connection:
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                await connection.execute(select(func.pg_notify(channel, "")))

    async def forget_overwritten(self) -> bool:
        """Take what was overwritten or deleted out of SQLite's log, where it is still readable.

        False where others were reading for too long; a later checkpoint does it then.
        """
        return self.dialect != "sqlite" or await self._checkpoint("TRUNCATE")

    async def flush(self) -> None:
        """Bring SQLite's log into its file, as far as that waits for nobody: before the end."""
        if self.dialect == "sqlite":
            await self._checkpoint("PASSIVE")

    async def _checkpoint(self, mode: str) -> bool:
        """Tell whether nobody was in the way."""
        checkpoint = f"PRAGMA wal_checkpoint({mode})"
        async with self.driver() as driver, self._turn(), driver.execute(checkpoint) as cursor:
            busy, *_ = await cursor.fetchone()
        return not busy

    @asynccontextmanager
    async def driver(self) -> AsyncIterator[Any]:
        """Lend a connection past SQLAlchemy, which begins a transaction: in here there is none."""
        with _driver_errors():
            async with self._engine.connect() as connection:
                yield (await connection.get_raw_connection()).driver_connection

    async def ping(self) -> None:
        """Return when the database answers."""
        async with self.read() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        await self._engine.dispose()


class _Conflict(StateUnavailable):
    """The database refused a transaction that may simply be repeated."""


@contextmanager
def _driver_errors() -> Iterator[None]:
    """Turn the drivers' errors into ours; their texts hold SQL and never leave."""
    try:
        yield
    except DBAPIError as error:
        if _sqlstate(error) in RETRYABLE_SQLSTATES:
            raise _Conflict("The database is too busy.") from error
        if _sqlstate(error) == NOT_PERMITTED_SQLSTATE:
            raise NotPermitted("The database refuses our role: apply roles.sql.") from error
        if not _is_outage(error):
            raise
        raise StateUnavailable("The database did not answer.") from error
    except (PoolTimeout, OSError) as error:
        raise StateUnavailable("The database did not answer.") from error


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


def _is_outage(error: DBAPIError) -> bool:
    """Tell an absent or overloaded database from a fault of ours in a statement."""
    if error.connection_invalidated:
        return True
    sqlstate = _sqlstate(error)
    if sqlstate is not None:
        return sqlstate == READ_ONLY_SQLSTATE or sqlstate[:2] in OUTAGE_SQLSTATE_CLASSES
    if isinstance(getattr(error.orig, "__cause__", None), ValueError):
        return False  # a value that asyncpg cannot send
    return not isinstance(error, (DataError, IntegrityError, NotSupportedError, ProgrammingError))


def _sqlite(url: URL) -> AsyncEngine:
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(url, connect_args={"timeout": BUSY_TIMEOUT}, hide_parameters=True)
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own transactions begin deferred; ours are begun below.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    # An event is acknowledged once it is committed, so a commit must be on the disk.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    # What is erased must not stay readable in the file.
    cursor.execute("PRAGMA secure_delete = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later is refused at once when
    # another process wrote in between, so writers take their place in advance.
    reads = connection.get_execution_options().get("paidup_reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
