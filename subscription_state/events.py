"""Webhook events as they were received, and what became of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    Row,
    Select,
    and_,
    bindparam,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state.tables import customer, event
from subscription_state.upsert import ignoring

#: Pauses before our own tries to apply an event that failed double from here.
FIRST_PAUSE = timedelta(minutes=1)
#: After so many tries an event waits for somebody to look at it.
MOST_ATTEMPTS = 8


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


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredEvent:
    """An event as it is kept."""

    event_id: str
    type: str
    customer_id: str | None
    create_time: datetime
    receive_time: datetime
    deliveries: int
    state: EventState
    #: The fault's name; None unless it failed.
    error: str | None
    #: Our own tries to apply it, those that an operator asked for too.
    attempts: int
    #: As it is stored: see `encryption`. None once it was erased.
    body: bytes | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Before:
    """What was known of an event when it was delivered."""

    #: None for a new one.
    state: EventState | None = None
    deliveries: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class EventFilter:
    """Which events are wanted; what is not said is not asked."""

    account_id: str = ""
    state: EventState | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where in the list an event stands: ids part those that came at the same time."""

    receive_time: datetime
    event_id: str


_LOCK_STATES = (
    select(event.c.event_id, event.c.state, event.c.deliveries)
    .where(event.c.event_id.in_(bindparam("ids", expanding=True)))
    .order_by(event.c.event_id)
    .with_for_update()
)
_COUNT_AGAIN = (
    update(event)
    .where(event.c.event_id == bindparam("again"))
    .values(deliveries=event.c.deliveries + bindparam("count"))
)
_SETTLE = (
    update(event)
    .where(event.c.event_id == bindparam("settled"))
    .values(state=bindparam("became"), error=None, next_attempt=None)
)


async def store(connection: AsyncConnection, received: ReceivedEvent) -> EventState | None:
    """Store the event; give None when it is new, else what became of it before.

    The database decides: of two deliveries at once, one is new.
    """
    return (await store_all(connection, [received]))[received.event_id].state


async def store_all(
    connection: AsyncConnection, received: Sequence[ReceivedEvent]
) -> dict[str, Before]:
    """Store events as `store` does each; by their ids, so that nobody waits in a circle."""
    deliveries = Counter(each.event_id for each in received)
    # Of an event that comes twice the first delivery is kept.
    rows = {each.event_id: _to_row(each, deliveries) for each in reversed(received)}
    new = await _insert(connection, [rows[event_id] for event_id in sorted(rows)])
    before = dict.fromkeys(new, Before())
    known = sorted(rows.keys() - new)
    if known:
        for row in await connection.execute(_LOCK_STATES, {"ids": known}):
            before[row.event_id] = Before(state=EventState(row.state), deliveries=row.deliveries)
        again = [{"again": event_id, "count": deliveries[event_id]} for event_id in known]
        await connection.execute(_COUNT_AGAIN, again)
    return before


async def _insert(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> set[str]:
    """Insert what is new, and give its ids."""
    stored = await connection.execute(_storing(connection.dialect.name), rows)
    return {row.event_id for row in stored}


@cache
def _storing(dialect: str) -> Executable:
    return ignoring(dialect, event).returning(event.c.event_id)


def _to_row(received: ReceivedEvent, deliveries: Mapping[str, int]) -> dict[str, Any]:
    return {
        "event_id": received.event_id,
        "type": received.type,
        "customer_id": received.customer_id,
        "create_time": received.create_time,
        "receive_time": received.receive_time,
        "deliveries": deliveries[received.event_id],
        "state": EventState.PENDING.value,
        "body": received.body,
        "attempts": 0,
    }


async def settle(connection: AsyncConnection, event_id: str, state: EventState) -> None:
    """Note what became of the event: it needs no more tries."""
    await settle_all(connection, {event_id: state})


async def settle_all(connection: AsyncConnection, states: Mapping[str, EventState]) -> None:
    """Note what became of events: they need no more tries."""
    rows = [{"settled": event_id, "became": states[event_id].value} for event_id in sorted(states)]
    await connection.execute(_SETTLE, rows)


async def fail(
    connection: AsyncConnection, event_id: str, error: str, *, attempts: int, now: datetime
) -> None:
    """Note that the event could not be applied, after so many tries of our own.

    It is tried again later, but for the last time. `error` names a fault, never a payload.
    """
    again = now + FIRST_PAUSE * 2**attempts if attempts < MOST_ATTEMPTS else None
    await connection.execute(
        update(event)
        .where(event.c.event_id == event_id)
        .values(state=EventState.FAILED.value, error=error, attempts=attempts, next_attempt=again)
    )


async def due(connection: AsyncConnection, *, now: datetime, limit: int) -> list[StoredEvent]:
    """List events that failed and are to be tried again, the longest waiting first."""
    found = await connection.execute(
        select(event)
        .where(event.c.next_attempt <= now)
        .order_by(event.c.next_attempt, event.c.event_id)
        .limit(limit)
    )
    return [_from_row(row) for row in found]


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """How many events could not be applied."""

    #: Will be tried again.
    waiting: int
    #: Will not, unless somebody replays them.
    parked: int


async def count_failed(connection: AsyncConnection) -> Failed:
    counted = await connection.execute(
        select(func.count(), func.count(event.c.next_attempt)).where(_is(EventState.FAILED))
    )
    every, waiting = counted.one()
    return Failed(waiting=waiting, parked=every - waiting)


async def state_of(connection: AsyncConnection, event_id: str) -> EventState | None:
    found = await connection.execute(select(event.c.state).where(event.c.event_id == event_id))
    state = found.scalar_one_or_none()
    return None if state is None else EventState(state)


async def get(connection: AsyncConnection, event_id: str) -> StoredEvent | None:
    found = await connection.execute(select(event).where(event.c.event_id == event_id))
    row = found.first()
    return None if row is None else _from_row(row)


async def lock(connection: AsyncConnection, event_id: str) -> StoredEvent | None:
    """Lock the event for this transaction; its customer must have been locked before."""
    found = await connection.execute(
        select(event).where(event.c.event_id == event_id).with_for_update()
    )
    row = found.first()
    return None if row is None else _from_row(row)


async def newest(
    connection: AsyncConnection, wanted: EventFilter, *, limit: int, after: Place | None = None
) -> list[StoredEvent]:
    """List events, newest first; `after` is the last one of the page before."""
    listing = (
        select(event)
        .where(*_conditions(wanted))
        .order_by(event.c.receive_time.desc(), event.c.event_id.desc())
        .limit(limit)
    )
    if after is not None:
        listing = listing.where(_is_older(after))
    return [_from_row(row) for row in await connection.execute(listing)]


def _conditions(wanted: EventFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.account_id:
        conditions.append(event.c.customer_id.in_(_customers_of(wanted.account_id)))
    if wanted.state is not None:
        conditions.append(_is(wanted.state))
    return conditions


def _is(state: EventState) -> ColumnElement[bool]:
    # Written out: an index of the failed ones alone is not used for a parameter.
    return event.c.state == literal(state.value, literal_execute=True)


def _customers_of(account_id: str) -> Select[tuple[str]]:
    return select(customer.c.customer_id).where(customer.c.account_id == account_id)


def _is_older(than: Place) -> ColumnElement[bool]:
    return and_(
        # Said for the index, which cannot tell it from what follows.
        event.c.receive_time <= than.receive_time,
        or_(event.c.receive_time < than.receive_time, event.c.event_id < than.event_id),
    )


def _from_row(row: Row[Any]) -> StoredEvent:
    return StoredEvent(
        event_id=row.event_id,
        type=row.type,
        customer_id=row.customer_id,
        create_time=row.create_time,
        receive_time=row.receive_time,
        deliveries=row.deliveries,
        state=EventState(row.state),
        error=row.error,
        attempts=row.attempts,
        body=row.body,
    )
