"""Apply a stored event again: because somebody asks for it, or because it failed before."""

from collections.abc import Awaitable, Callable
from datetime import datetime

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import apply, catalog, customers, events, head, touches
from subscription_state.customers import Customer
from subscription_state.database import Database
from subscription_state.events import EventState, StoredEvent
from subscription_state.ingest import apply_deliveries, delivery_from_stripe

#: Writes what goes with a try, in its transaction; it is told what the try came to.
Beside = Callable[[AsyncConnection, str], Awaitable[None]]
#: What a try came to whose event has no content any more.
READ_INSTEAD = "read_instead"


async def _nothing(_connection: AsyncConnection, _came_to: str) -> None: ...


async def apply_again(
    database: Database, known: StoredEvent, *, now: datetime, beside: Beside = _nothing
) -> EventState | None:
    """Apply an event as when it came, and give what became of it.

    None where its content is gone: what it concerns is to be read from Stripe
    instead. Raise whatever a fault raises: nothing was saved then, and the
    caller notes it with `note_failed`.
    """

    async def work(connection: AsyncConnection) -> EventState | None:
        locked = await _lock(connection, known)
        stored = await events.lock(connection, known.event_id)
        if stored is None or stored.body is None:
            await _ask_instead(connection, known, now)
            await beside(connection, READ_INSTEAD)
            return None
        body = database.keyring.open(stored.event_id, stored.body)
        # `received` is the time of whatever follows from it, and that is now.
        delivery = delivery_from_stripe(orjson.loads(body), body, received=now)
        (outcome,) = await apply_deliveries(connection, [delivery], locked)
        await beside(connection, outcome.value)
        return EventState(outcome.value)

    return await database.write(work)


async def note_failed(
    database: Database,
    known: StoredEvent,
    error: str,
    *,
    now: datetime,
    beside: Beside = _nothing,
) -> None:
    """Note that the event could not be applied, and have its customer read instead."""

    async def work(connection: AsyncConnection) -> None:
        await _lock(connection, known)
        attempts = known.attempts + 1
        await events.fail(connection, known.event_id, error, attempts=attempts, now=now)
        await beside(connection, EventState.FAILED.value)
        await _ask_instead(connection, known, now)

    await database.write(work)


async def note_superseded(database: Database, event_id: str) -> None:
    """Note that newer state than the event's is there: what it concerns has been read."""
    await database.write(lambda connection: events.settle(connection, event_id, EventState.SKIPPED))


async def _lock(connection: AsyncConnection, known: StoredEvent) -> dict[str, Customer]:
    """Lock what the event concerns, in the order that everybody keeps."""
    locked = await customers.lock(connection, [known.customer_id] if known.customer_id else [])
    if apply.concerns_catalog(known.type):
        await catalog.lock(connection)
    return locked


async def _ask_instead(connection: AsyncConnection, known: StoredEvent, now: datetime) -> None:
    ticket = await head.draw(connection)
    if apply.concerns_catalog(known.type):
        await catalog.want_read(connection, ticket)
    if known.customer_id is not None:
        await touches.touch(connection, known.customer_id, ticket=ticket, urgent=True, now=now)
