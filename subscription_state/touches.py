"""Touched customers: those that changed and have to be compared with Stripe."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Row, case, delete, false, func, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state.tables import touched
from subscription_state.upsert import Insert, inserting

#: How long a plain touch waits for others of the same customer: one checkout
#: makes a dozen events within a second, and one read serves them all.
COALESCE = timedelta(milliseconds=500)
#: Of how many spans it is remembered that they touched a customer: one checkout's are fewer.
MOST_TRACES = 16
#: Each is as long as any other, so no span's name is cut.
_LONGEST_TRACES = MOST_TRACES * len("00-0123456789abcdef0123456789abcdef-0123456789abcdef-01 ") - 1
#: When one that was given up is tried again: never, unless it is touched.
PARKED = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Touch:
    """One customer that waits for its verify."""

    customer_id: str
    #: Of the last touch.
    ticket: int
    urgent: bool
    #: Tries that failed.
    attempts: int
    touch_time: datetime
    #: The spans of the events that touched it, oldest first; the first `MOST_TRACES` of them.
    traceparents: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Changed:
    """A customer changed, or may have."""

    customer_id: str
    ticket: int
    urgent: bool
    time: datetime
    #: The span that touches it, where that is seen.
    traceparent: str | None = None


async def touch(
    connection: AsyncConnection, customer_id: str, *, ticket: int, urgent: bool, now: datetime
) -> None:
    """Note that a customer changed. An earlier urgent touch stays urgent."""
    await touch_all(
        connection, [Changed(customer_id=customer_id, ticket=ticket, urgent=urgent, time=now)]
    )


async def touch_all(connection: AsyncConnection, changes: Iterable[Changed]) -> None:
    """Touch customers as `touch` does each; one that changed more than once is touched once."""
    rows: dict[str, dict[str, Any]] = {}
    for each in changes:
        row = _to_row(each)
        before = rows.get(each.customer_id, row | {"traceparents": None})
        rows[each.customer_id] = row | {
            "urgent": row["urgent"] or before["urgent"],
            "touch_time": before["touch_time"],
            "next_attempt": min(row["next_attempt"], before["next_attempt"]),
            "traceparents": _one_after_the_other(before["traceparents"], each.traceparent),
        }
    if rows:
        await connection.execute(
            _touching(connection.dialect.name), [rows[key] for key in sorted(rows)]
        )


def _to_row(change: Changed) -> dict[str, Any]:
    return {
        "customer_id": change.customer_id,
        "ticket": change.ticket,
        "urgent": change.urgent,
        "touch_time": change.time,
        "attempts": 0,
        "next_attempt": change.time if change.urgent else change.time + COALESCE,
        "traceparents": change.traceparent,
    }


def _one_after_the_other(before: str | None, traceparent: str | None) -> str | None:
    joined = " ".join(each for each in (before, traceparent) if each)
    return joined[:_LONGEST_TRACES] or None


@cache
def _touching(dialect: str) -> Insert:
    insert = inserting(dialect, touched)
    new = insert.excluded
    sooner = case((touched.c.next_attempt < new.next_attempt, touched.c.next_attempt))
    parked = touched.c.next_attempt == PARKED
    again = {
        "ticket": new.ticket,
        "urgent": or_(touched.c.urgent, new.urgent),
        # What happened since may have mended one that was given up.
        "attempts": case((parked, 0), else_=touched.c.attempts),
        "touch_time": case((parked, new.touch_time), else_=touched.c.touch_time),
        # One that keeps failing keeps its back-off; a new touch does not hurry it.
        "next_attempt": case(
            (parked, new.next_attempt),
            (touched.c.attempts > 0, touched.c.next_attempt),
            else_=func.coalesce(sooner, new.next_attempt),
        ),
        "traceparents": func.substr(
            func.coalesce(
                touched.c.traceparents + " " + new.traceparents,
                touched.c.traceparents,
                new.traceparents,
            ),
            1,
            _LONGEST_TRACES,
        ),
    }
    return insert.on_conflict_do_update(index_elements=["customer_id"], set_=again)


async def due(connection: AsyncConnection, *, now: datetime, limit: int) -> list[Touch]:
    """List customers whose verify is due, urgent first, then the longest waiting."""
    found: list[Touch] = []
    # Two questions, so that each reads no more of the index than it gives.
    for urgent in (true(), false()):
        listing = (
            select(touched)
            .where(touched.c.urgent == urgent, touched.c.next_attempt <= now)
            .order_by(touched.c.next_attempt, touched.c.customer_id)
            .limit(limit - len(found))
        )
        found.extend(_from_row(row) for row in await connection.execute(listing))
    return found


def _from_row(row: Row[Any]) -> Touch:
    return Touch(
        customer_id=row.customer_id,
        ticket=row.ticket,
        urgent=row.urgent,
        attempts=row.attempts,
        touch_time=row.touch_time,
        traceparents=_spans(row.traceparents),
    )


def _spans(stored: str | None) -> tuple[str, ...]:
    return tuple(stored.split()) if stored else ()


async def clear(connection: AsyncConnection, customer_id: str, *, up_to: int) -> tuple[str, ...]:
    """Clear the touch unless it is newer than the read that answered it.

    Give the spans that had touched it.
    """
    cleared = await connection.execute(
        delete(touched)
        .where(touched.c.customer_id == customer_id, touched.c.ticket <= up_to)
        .returning(touched.c.traceparents)
    )
    return _spans(cleared.scalar())


async def postpone(
    connection: AsyncConnection, customer_id: str, *, attempts: int, error: str, until: datetime
) -> None:
    """Note that a verify failed for a fault of this name, and when to try again."""
    await connection.execute(
        update(touched)
        .where(touched.c.customer_id == customer_id)
        .values(attempts=attempts, error=error, next_attempt=until)
    )


async def park(
    connection: AsyncConnection, customer_id: str, *, up_to: int, attempts: int, error: str
) -> bool:
    """Give a customer up until it is touched again; False where that has happened meanwhile."""
    parked = await connection.execute(
        update(touched)
        .where(touched.c.customer_id == customer_id, touched.c.ticket <= up_to)
        .values(attempts=attempts, error=error, next_attempt=PARKED)
    )
    return parked.rowcount == 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Parked:
    """A customer that could not be verified so often that it is tried no more."""

    customer_id: str
    attempts: int
    #: The last fault's name.
    error: str
    touch_time: datetime


async def parked(connection: AsyncConnection, *, limit: int) -> list[Parked]:
    """List customers that were given up, the longest first."""
    found = await connection.execute(
        select(touched)
        .where(touched.c.next_attempt == PARKED)
        .order_by(touched.c.touch_time, touched.c.customer_id)
        .limit(limit)
    )
    return [
        Parked(
            customer_id=row.customer_id,
            attempts=row.attempts,
            error=row.error,
            touch_time=row.touch_time,
        )
        for row in found
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """How many wait to be verified, and since when."""

    customers: int = 0
    oldest: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Backlog:
    """All that were touched and not verified since."""

    urgent: Waiting = Waiting()
    plain: Waiting = Waiting()
    parked: Waiting = Waiting()


async def backlog(connection: AsyncConnection) -> Backlog:
    is_parked = touched.c.next_attempt == PARKED
    counted = await connection.execute(
        select(
            touched.c.urgent,
            is_parked.label("parked"),
            func.count().label("customers"),
            func.min(touched.c.touch_time).label("oldest"),
        ).group_by(touched.c.urgent, is_parked)
    )
    found = {(row.urgent, bool(row.parked)): (row.customers, row.oldest) for row in counted}
    return Backlog(
        urgent=_waiting(found, (True, False)),
        plain=_waiting(found, (False, False)),
        parked=_waiting(found, (True, True), (False, True)),
    )


def _waiting(
    found: Mapping[tuple[bool, bool], tuple[int, datetime]], *kinds: tuple[bool, bool]
) -> Waiting:
    counted = [found[kind] for kind in kinds if kind in found]
    return Waiting(
        customers=sum(customers for customers, _ in counted),
        oldest=min((oldest for _, oldest in counted), default=None),
    )
