"""Webhook events as they were received, and what became of them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state.tables import event
from subscription_state.upsert import insert_or_ignore


class EventState(StrEnum):
    """What became of a stored event."""

    PENDING = "pending"
    #: Its content was saved.
    APPLIED = "applied"
    #: Nothing to do: newer state was there, or its content is not what we keep.
    SKIPPED = "skipped"
    #: Could not be applied.
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceivedEvent:
    """An event of Stripe's whose signature was right."""

    event_id: str
    type: str
    customer_id: str | None
    create_time: datetime
    receive_time: datetime
    body: bytes


async def store(connection: AsyncConnection, received: ReceivedEvent) -> EventState | None:
    """Store the event; give None when it is new, else what became of it before.

    The database decides: of two deliveries at once, one is new.
    """
    row = {
        "event_id": received.event_id,
        "type": received.type,
        "customer_id": received.customer_id,
        "create_time": received.create_time,
        "receive_time": received.receive_time,
        "deliveries": 1,
        "state": EventState.PENDING.value,
        "body": received.body,
    }
    stored = await connection.execute(
        insert_or_ignore(connection, event, row).returning(event.c.event_id)
    )
    if stored.first() is not None:
        return None
    known = await connection.execute(
        update(event)
        .where(event.c.event_id == received.event_id)
        .values(deliveries=event.c.deliveries + 1)
        .returning(event.c.state)
    )
    return EventState(known.scalar_one())


async def settle(
    connection: AsyncConnection, event_id: str, state: EventState, *, error: str | None = None
) -> None:
    """Note what became of the event. `error` names a fault, never a payload."""
    await connection.execute(
        update(event).where(event.c.event_id == event_id).values(state=state.value, error=error)
    )


async def state_of(connection: AsyncConnection, event_id: str) -> EventState | None:
    found = await connection.execute(select(event.c.state).where(event.c.event_id == event_id))
    state = found.scalar_one_or_none()
    return None if state is None else EventState(state)
