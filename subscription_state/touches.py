"""Touched customers: those that changed and have to be compared with Stripe."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import case, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state.tables import touched
from subscription_state.upsert import Insert, inserting

#: How long a plain touch waits for others of the same customer: one checkout
#: makes a dozen events within a second, and one read serves them all.
COALESCE = timedelta(milliseconds=500)


@dataclass(frozen=True, kw_only=True, slots=True)
class Touch:
    """One customer that waits for its verify."""

    customer_id: str
    urgent: bool
    attempts: int
    touch_time: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Changed:
    """A customer changed, or may have."""

    customer_id: str
    ticket: int
    urgent: bool
    time: datetime


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
        before = rows.get(each.customer_id, row)
        rows[each.customer_id] = row | {
            "urgent": row["urgent"] or before["urgent"],
            "touch_time": before["touch_time"],
            "next_attempt": min(row["next_attempt"], before["next_attempt"]),
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
    }


@cache
def _touching(dialect: str) -> Insert:
    insert = inserting(dialect, touched)
    new = insert.excluded
    sooner = case((touched.c.next_attempt < new.next_attempt, touched.c.next_attempt))
    again = {
        "ticket": new.ticket,
        "urgent": or_(touched.c.urgent, new.urgent),
        # One that keeps failing keeps its back-off; a new touch does not hurry it.
        "next_attempt": case(
            (touched.c.attempts > 0, touched.c.next_attempt),
            else_=func.coalesce(sooner, new.next_attempt),
        ),
    }
    return insert.on_conflict_do_update(index_elements=["customer_id"], set_=again)


async def due(connection: AsyncConnection, *, now: datetime, limit: int) -> list[Touch]:
    """List customers whose verify is due, urgent first, then the longest waiting."""
    found = await connection.execute(
        select(touched)
        .where(touched.c.next_attempt <= now)
        .order_by(touched.c.urgent.desc(), touched.c.next_attempt, touched.c.customer_id)
        .limit(limit)
    )
    return [
        Touch(
            customer_id=row.customer_id,
            urgent=row.urgent,
            attempts=row.attempts,
            touch_time=row.touch_time,
        )
        for row in found
    ]


async def clear(connection: AsyncConnection, customer_id: str, *, up_to: int) -> None:
    """Clear the touch unless it is newer than the read that answered it."""
    await connection.execute(
        delete(touched).where(touched.c.customer_id == customer_id, touched.c.ticket <= up_to)
    )


async def postpone(connection: AsyncConnection, customer_id: str, *, until: datetime) -> None:
    """Note that a verify failed, and when to try again."""
    await connection.execute(
        update(touched)
        .where(touched.c.customer_id == customer_id)
        .values(attempts=touched.c.attempts + 1, next_attempt=until)
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Backlog:
    """How much waits to be verified."""

    customers: int
    oldest: datetime | None


async def backlog(connection: AsyncConnection) -> Backlog:
    row = (await connection.execute(select(func.count(), func.min(touched.c.touch_time)))).one()
    return Backlog(customers=row[0], oldest=row[1])
