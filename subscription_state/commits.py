"""Whether anything was committed, asked so cheaply that it can be asked all the time."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from subscription_state.database import Database
from subscription_state.errors import StateUnavailable

#: Gives a number that others' commits change; None where only the head row can tell.
Counter = Callable[[], Awaitable[int | None]]


@asynccontextmanager
async def counter(database: Database) -> AsyncIterator[Counter]:
    """Keep a connection to ask; raise `StateUnavailable` when it breaks."""
    if database.dialect != "sqlite":
        yield _unknown
        return
    async with database.driver() as driver:

        async def data_version() -> int:
            # It counts what other connections commit, and on this one nothing is.
            try:
                ((version,),) = await driver.execute_fetchall("PRAGMA data_version")
            except sqlite3.Error as error:
                raise StateUnavailable("The database did not answer.") from error
            return int(version)

        yield data_version


async def _unknown() -> None:
    return None
