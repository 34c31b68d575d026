"""Events that Stripe has and that never came: what they are about is read instead."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import apply, catalog, customers, head, touches
from subscription_state.events import ReceivedEvent
from subscription_state.tables import event
from subscription_state.touches import Changed


async def unseen(
    connection: AsyncConnection, listed: Sequence[ReceivedEvent]
) -> list[ReceivedEvent]:
    """Give those that were not taken in."""
    ids = [each.event_id for each in listed]
    found = await connection.execute(select(event.c.event_id).where(event.c.event_id.in_(ids)))
    seen = set(found.scalars())
    return [each for each in listed if each.event_id not in seen]


async def touch(
    connection: AsyncConnection, missed: Sequence[ReceivedEvent], *, now: datetime
) -> int:
    """Touch the customers of events that were missed; give how many.

    Their content is left alone: it is old, and a read is always right.
    """
    customer_ids = sorted({each.customer_id for each in missed if each.customer_id is not None})
    of_catalog = any(apply.concerns_catalog(each.type) for each in missed)
    await customers.lock(connection, customer_ids)
    if of_catalog:
        await catalog.lock(connection)
    ticket = await head.draw(connection)
    if of_catalog:
        await catalog.want_read(connection, ticket)
    await touches.touch_all(
        connection,
        [Changed(customer_id=each, ticket=ticket, urgent=False, time=now) for each in customer_ids],
    )
    return len(customer_ids)
