"""Customers that wait to be verified: how many, and what becomes of one that cannot be."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_service import metrics
from billing_service.errors import RetryLater, StripeMisconfigured
from subscription_state import touches
from subscription_state.errors import StateUnavailable
from subscription_state.touches import Backlog, Touch

#: So many tries, over about a quarter of an hour, before a customer is given up.
MOST_TRIES = 10
#: Pauses grow no further while it is not the customer's fault: it would wait too long afterwards.
MOST_OUTAGES = 6

#: What befalls every customer alike.
_OUTAGES = (RetryLater, StripeMisconfigured, StateUnavailable)


async def put_off(
    connection: AsyncConnection, touch: Touch, fault: Exception, *, until: datetime
) -> bool:
    """Note that a verify failed; True where the customer is given up after too many tries.

    Then it is tried again only when it is touched anew, by an event for example.
    """
    attempts, error = attempts_after(touch, fault), type(fault).__name__
    if attempts >= MOST_TRIES and await touches.park(
        connection, touch.customer_id, up_to=touch.ticket, attempts=attempts, error=error
    ):
        return True
    await touches.postpone(
        connection, touch.customer_id, attempts=attempts, error=error, until=until
    )
    return False


def attempts_after(touch: Touch, fault: Exception) -> int:
    """Count one more; while Stripe or the database is away, no further than to a minute's pause."""
    if isinstance(fault, _OUTAGES):
        return max(touch.attempts, min(touch.attempts + 1, MOST_OUTAGES))
    return touch.attempts + 1


def tell(backlog: Backlog, *, now: datetime) -> None:
    """Tell operators how much waits, and for how long."""
    for urgency, waiting in (("urgent", backlog.urgent), ("plain", backlog.plain)):
        age = (now - waiting.oldest).total_seconds() if waiting.oldest else 0
        metrics.TOUCHED.labels(urgency).set(waiting.customers)
        metrics.OLDEST_TOUCH.labels(urgency).set(age)
    metrics.PARKED_CUSTOMERS.set(backlog.parked.customers)
