"""Wake-ups: a hint to whoever looks for changes now and then that it is worth looking now.

On PostgreSQL by `NOTIFY`; on SQLite there are none. Looking is the truth, so a
hint may come late, twice or never: it costs the rest of a pause and nothing else.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import create_async_engine

from subscription_state.database import Database
from subscription_state.postgresql import CONNECT_TIMEOUT

log = logging.getLogger(__name__)

CHANNEL = "paidup_changed"
#: Of changes that come thick and fast, one in this many seconds is told, and heard.
PAUSE = 0.02
#: How often it is seen whether anybody is still at the other end, in seconds, and how long that
#: may take.
CHECK_EVERY = 30.0
CHECK_TIMEOUT = 5.0
#: How long what is being told may take to be told, at the end.
CLOSE_TIMEOUT = 1.0
#: The longest pause between tries to listen, in seconds.
LONGEST_BACKOFF = 60.0


class Announcer:
    """Tells the other processes that something changed: never more than one at a time."""

    def __init__(self, database: Database, *, enabled: bool = True) -> None:
        self._database = database
        self._enabled = enabled and database.dialect == "postgresql"
        self._untold = False
        self._telling: asyncio.Task[None] | None = None

    def changed(self) -> None:
        """Tell it, soon. To be called after the commit; it neither waits nor fails."""
        self._untold = self._enabled
        if self._untold and (self._telling is None or self._telling.done()):
            self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        while self._untold:
            self._untold = False
            try:
                await self._database.notify(CHANNEL)
            except Exception as error:  # noqa: BLE001 - who looks by himself finds it all the same
                log.debug("wakeup_not_sent", extra={"error": type(error).__name__})
            await asyncio.sleep(PAUSE)

    async def close(self) -> None:
        """Tell what is untold, unless that takes long; to be called before the database closes."""
        if self._telling is None:
            return
        _, late = await asyncio.wait([self._telling], timeout=CLOSE_TIMEOUT)
        for each in late:
            each.cancel()
        await asyncio.gather(*late, return_exceptions=True)


class Waiter:
    """One of those who wait. What is told while it does not wait is kept for its next wait."""

    def __init__(self) -> None:
        self._told = asyncio.Event()

    def tell(self) -> None:
        self._told.set()

    async def wait(self, timeout: float) -> bool:  # noqa: ASYNC109 - the pause is the point
        """Pause, until something changed or the time is over; tell whether something did."""
        # What comes within this moment is told together.
        await asyncio.sleep(min(PAUSE, timeout))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._told.wait(), timeout - PAUSE)
        told = self._told.is_set()
        self._told.clear()
        return told


class Listener:
    """Hears what announcers tell, over a connection of its own that is made again when it breaks.

    Without an address, every wait is a pause.
    """

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._waiters: list[Waiter] = []
        self.listening = False

    def waiter(self) -> Waiter:
        self._waiters.append(Waiter())
        return self._waiters[-1]

    async def run(self) -> None:
        """Listen until cancelled; at once over where there is no address."""
        failures = 0
        while self._url is not None:
            try:
                async with self._connected(self._url) as (driver, lost):
                    failures = 0
                    await self._until_lost(driver, lost)
            except Exception as error:  # noqa: BLE001 - whatever it is, waits are pauses meanwhile
                # Once a failure, not once a try.
                level = logging.DEBUG if failures else logging.WARNING
                log.log(level, "not_listening", extra={"error": type(error).__name__})
            await asyncio.sleep(min(2.0**failures, LONGEST_BACKOFF))
            failures = min(failures + 1, 10)

    @asynccontextmanager
    async def _connected(self, url: str) -> AsyncIterator[tuple[Any, asyncio.Event]]:
        """Give the driver's connection and what is set when it is lost."""
        engine = create_async_engine(
            url, poolclass=NullPool, hide_parameters=True, connect_args=_ARGUMENTS
        )
        try:
            async with engine.connect() as connection:
                driver: Any = (await connection.get_raw_connection()).driver_connection
                lost = asyncio.Event()
                driver.add_termination_listener(lambda _: lost.set())
                await driver.add_listener(CHANNEL, self._heard)
                yield driver, lost
        finally:
            self.listening = False
            await engine.dispose()

    async def _until_lost(self, driver: Any, lost: asyncio.Event) -> None:
        self.listening = True
        log.info("listening")
        # What was told before could not be heard.
        self._wake()
        while not lost.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(lost.wait(), CHECK_EVERY)
            await driver.execute("SELECT 1", timeout=CHECK_TIMEOUT)

    def _heard(self, *_: object) -> None:
        self._wake()

    def _wake(self) -> None:
        for waiter in self._waiters:
            waiter.tell()


_ARGUMENTS = {
    "timeout": CONNECT_TIMEOUT,
    "command_timeout": CHECK_TIMEOUT,
    "server_settings": {"application_name": "paidup_listen"},
}
