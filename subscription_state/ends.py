"""Ends that the clock brings: a trial's and a cancellation's, whether or not an event comes."""

from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import customers, head, touches
from subscription_state.model import TERMINAL, Status
from subscription_state.tables import subscription, touched
from subscription_state.touches import Changed

#: So many are touched at a time, to keep the transaction short.
BATCH = 200


async def touch_ended(connection: AsyncConnection, now: datetime) -> int:
    """Touch customers with an end that has passed since they were verified; give how many.

    The decision needs no event, but what follows a trial only Stripe knows.
    """
    found = await connection.execute(
        select(subscription.c.customer_id)
        .where(subscription.c.status.not_in([status.value for status in TERMINAL]))
        .where(or_(_trial_over(now), _passed(subscription.c.cancel_time, now)))
        .where(subscription.c.customer_id.not_in(_known()))
        .distinct()
        .limit(BATCH)
    )
    customer_ids = sorted(found.scalars())
    await customers.lock(connection, customer_ids)
    if customer_ids:
        ticket = await head.draw(connection)
        await touches.touch_all(
            connection,
            [
                Changed(customer_id=each, ticket=ticket, urgent=True, time=now)
                for each in customer_ids
            ],
        )
    return len(customer_ids)


def _known() -> Select[tuple[str]]:
    """Give who need not be touched again: to be read soon, or given up."""
    return select(touched.c.customer_id).where(
        or_(touched.c.urgent, touched.c.next_attempt == touches.PARKED)
    )


def _trial_over(now: datetime) -> ColumnElement[bool]:
    return and_(
        subscription.c.status == Status.TRIALING.value, _passed(subscription.c.trial_end, now)
    )


def _passed(end: ColumnElement[datetime], now: datetime) -> ColumnElement[bool]:
    unseen = or_(subscription.c.verified_at.is_(None), subscription.c.verified_at < end)
    return and_(end <= now, unseen)
