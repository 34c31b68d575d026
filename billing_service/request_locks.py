"""Lets one call at a time work on something, over all replicas, without holding a transaction."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from billing_service.errors import StateNotAvailable
from subscription_state import leases
from subscription_state.database import Database

#: Longer than the Stripe calls under one lock take; a crash is waited out so long.
LIFETIME = timedelta(seconds=60)
POLL = 0.05
LONGEST_WAIT = 30.0


@asynccontextmanager
async def locked(
    database: Database,
    name: str,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> AsyncIterator[None]:
    """Hold the lease `name`; raise `StateNotAvailable` when it does not come free in time."""
    holder = uuid.uuid4().hex

    async def acquire() -> bool:
        return await database.write(
            lambda connection: leases.acquire(
                connection, name, holder=holder, now=now(), lifetime=LIFETIME
            )
        )

    await _until(acquire)
    try:
        yield
    finally:
        await asyncio.shield(
            database.write(lambda connection: leases.release(connection, name, holder=holder))
        )


async def _until(acquire: Callable[[], Awaitable[bool]]) -> None:
    try:
        async with asyncio.timeout(LONGEST_WAIT):
            while not await acquire():
                await asyncio.sleep(POLL)
    except TimeoutError as error:
        raise StateNotAvailable from error
