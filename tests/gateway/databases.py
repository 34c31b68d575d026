"""The shared database as tests see it: made, looked at, held, taken away."""

import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sqlalchemy import Row, Table, func, select

from subscription_state import deployment, migrate
from subscription_state.database import Database
from subscription_state.tables import event
from tests.postgres import Postgres

OUR_ACCOUNT = "acct_ours"


async def prepare(url: str) -> None:
    """Migrate a database and bind it to our account in test mode, as the service does."""
    database = Database.at(url)
    await migrate.upgrade(database)
    await database.write(
        lambda connection: deployment.bind(
            connection, livemode=False, stripe_account_id=OUR_ACCOUNT
        )
    )
    await database.close()


async def stored(url: str, table: Table = event) -> list[Row]:
    """Read a whole table, over a connection of its own."""
    database = Database.at(url)
    try:
        async with database.read() as connection:
            return list(await connection.execute(select(table)))
    finally:
        await database.close()


async def count(url: str, table: Table = event) -> int:
    database = Database.at(url)
    try:
        async with database.read() as connection:
            counted = await connection.execute(select(func.count()).select_from(table))
            return int(counted.scalar_one())
    finally:
        await database.close()


class SharedDatabase(Protocol):
    """What a test can do to a database beside using it."""

    url: str

    def held(self) -> "asynccontextmanager[None]":
        """Keep every writer waiting for as long as the block runs."""

    async def poison(self, event_id: str) -> None:
        """Let the database refuse to note anything but a failure for this event."""

    async def forbid(self, event_id: str) -> None:
        """Let the database refuse to store this event at all."""

    async def forget_deployment(self) -> None:
        """Undo the first start of the service."""

    async def take_away(self) -> None: ...

    async def bring_back(self) -> None: ...


@dataclass(frozen=True)
class Sqlite:
    path: Path

    @property
    def url(self) -> str:
        return f"sqlite+aiosqlite:///{self.path}"

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")
            connection.close()

    async def poison(self, event_id: str) -> None:
        self._refuse(f"UPDATE OF state ON event WHEN {_is(event_id)} AND NEW.state <> 'failed'")

    async def forbid(self, event_id: str) -> None:
        self._refuse(f"INSERT ON event WHEN {_is(event_id)}")

    async def forget_deployment(self) -> None:
        self._run("DELETE FROM deployment")

    def _refuse(self, what: str) -> None:
        raising = "SELECT RAISE(ABORT, 'on behalf of jenny@example.com')"
        self._run(f"CREATE TRIGGER refusal BEFORE {what} BEGIN {raising}; END")

    def _run(self, statement: str) -> None:
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.execute(statement)
        connection.close()

    async def take_away(self) -> None:
        # Opened connections would go on writing to a file that was only moved.
        shutil.move(self.path, self.path.with_suffix(".away"))
        self.path.mkdir()

    async def bring_back(self) -> None:
        self.path.rmdir()
        shutil.move(self.path.with_suffix(".away"), self.path)


@dataclass(frozen=True)
class Postgresql:
    server: Postgres
    name: str

    @property
    def url(self) -> str:
        return self.server.url(self.name)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        connection = await self.server.connect(self.name)
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SELECT * FROM head FOR UPDATE")
        try:
            yield
        finally:
            # Also after the server has gone.
            connection.terminate()

    async def poison(self, event_id: str) -> None:
        await self._check(f"event_id <> '{event_id}' OR state IN ('pending', 'failed')")

    async def forbid(self, event_id: str) -> None:
        await self._check(f"event_id <> '{event_id}'")

    async def forget_deployment(self) -> None:
        await self.server.run("DELETE FROM deployment", database=self.name)

    async def _check(self, condition: str) -> None:
        statement = f"ALTER TABLE event ADD CONSTRAINT refusal CHECK ({condition})"
        await self.server.run(statement, database=self.name)

    async def take_away(self) -> None:
        self.server.stop()

    async def bring_back(self) -> None:
        self.server.start()


def _is(event_id: str) -> str:
    return f"NEW.event_id = '{event_id}'"
