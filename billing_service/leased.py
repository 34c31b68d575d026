"""Holds a lease while work goes on: renewed meanwhile, given up afterwards, ended when lost.

A holder that dies is followed within `LIFETIME`, however long its work would
have taken.
"""

import asyncio
import os
import socket
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

from billing_service.errors import StateNotAvailable
from subscription_state import leases
from subscription_state.database import Database
from subscription_state.errors import StateUnavailable

LIFETIME = timedelta(seconds=8)
RENEW_EVERY = 2.0
#: Work ends this long before the lease does, for clocks that differ a little.
MARGIN = 1.0

POLL = 0.05
LONGEST_WAIT = 30.0


class Lease:
    """One holder's claim to a name."""

    def __init__(
        self,
        database: Database,
        name: str,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._name = name
        self._now = now
        #: For people, and then what nobody else has.
        self._holder = f"process {os.getpid()} on {socket.gethostname()} {uuid.uuid4().hex}"

    async def acquire(self) -> bool:
        """Take or renew the lease; False when another holds it."""
        try:
            return await self._database.write(
                lambda connection: leases.acquire(
                    connection, self._name, holder=self._holder, now=self._now(), lifetime=LIFETIME
                )
            )
        except asyncio.CancelledError:
            # It may have been taken all the same, and nobody would give it up.
            await asyncio.shield(self.release())
            raise

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Keep the lease, which was acquired just now, until the block ends.

        Raise `StateNotAvailable` out of the block where it could not be kept:
        somebody else may hold it then.
        """
        try:
            async with asyncio.timeout(_left()) as deadline:
                renewing = asyncio.create_task(self._renew(deadline))
                try:
                    yield
                finally:
                    renewing.cancel()
                    # A renewal on its way must not take the lease after it was given up.
                    await asyncio.gather(renewing, return_exceptions=True)
        except TimeoutError as error:
            raise StateNotAvailable from error
        finally:
            await asyncio.shield(self.release())

    async def _renew(self, deadline: asyncio.Timeout) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(RENEW_EVERY)
            until = loop.time() + _left()
            # The database may come back before the lease has run out.
            with suppress(StateUnavailable):
                if await self.acquire():
                    deadline.reschedule(until)

    async def others(self) -> str:
        """Name the process that holds it instead; empty where none does."""
        async with self._database.read() as connection:
            found = await leases.holder(connection, self._name, now=self._now())
        return found.rpartition(" ")[0] if found else ""

    async def release(self) -> None:
        """Give the lease up where it is ours."""
        # Where this fails, the lease runs out by itself.
        with suppress(StateUnavailable):
            await self._database.write(
                lambda connection: leases.release(connection, self._name, holder=self._holder)
            )


def _left() -> float:
    return LIFETIME.total_seconds() - MARGIN


@asynccontextmanager
async def locked(database: Database, name: str) -> AsyncIterator[None]:
    """Let one call at a time through, over all replicas, without holding a transaction.

    Raise `StateNotAvailable` where the others do not end in time.
    """
    lease = Lease(database, name)
    try:
        async with asyncio.timeout(LONGEST_WAIT):
            while not await lease.acquire():
                await asyncio.sleep(POLL)
    except TimeoutError as error:
        raise StateNotAvailable from error
    async with lease.held():
        yield
