"""What is possible and hardly meant, and an operator has to look at."""

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state.events import EventState
from subscription_state.model import LIVE
from subscription_state.subscriptions import from_row
from subscription_state.tables import customer, event, subscription

_IS_LIVE = subscription.c.status.in_(sorted(status.value for status in LIVE))


async def paying_without_account(connection: AsyncConnection, *, limit: int) -> list[str]:
    """List customers with a live subscription that belong to no account."""
    found = await connection.execute(
        select(customer.c.customer_id)
        .join(subscription, subscription.c.customer_id == customer.c.customer_id)
        .where(customer.c.account_id.is_(None), customer.c.deleted.is_(False), _IS_LIVE)
        .distinct()
        .order_by(customer.c.customer_id)
        .limit(limit)
    )
    return list(found.scalars())


@dataclass(frozen=True, kw_only=True, slots=True)
class PayingTwice:
    """A customer with more than one live subscription to a product."""

    customer_id: str
    subscription_ids: tuple[str, ...]


async def paying_twice(connection: AsyncConnection) -> list[PayingTwice]:
    """List who pays more than once for a product.

    Items are compared here: a question into JSON is spelled differently by every database.
    """
    several = (
        select(subscription.c.customer_id)
        .where(_IS_LIVE)
        .group_by(subscription.c.customer_id)
        .having(func.count() > 1)
    )
    rows = await connection.execute(
        select(subscription)
        .where(_IS_LIVE, subscription.c.customer_id.in_(several))
        .order_by(subscription.c.customer_id, subscription.c.create_time)
    )
    holders: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows:
        held = from_row(row).subscription
        for product_id in sorted(held.product_ids):
            holders[held.customer_id, product_id].append(held.subscription_id)
    return [
        PayingTwice(customer_id=customer_id, subscription_ids=tuple(ids))
        for (customer_id, _), ids in holders.items()
        if len(ids) > 1
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class GivenUp:
    """An event that could not be applied, and is tried again only when somebody asks."""

    event_id: str
    type: str
    #: The last fault's name.
    error: str | None


async def given_up_events(connection: AsyncConnection, *, limit: int) -> list[GivenUp]:
    """List events that are tried no more, the newest first."""
    # Written out: an index of the failed ones alone is not used for a parameter.
    failed = event.c.state == literal(EventState.FAILED.value, literal_execute=True)
    found = await connection.execute(
        select(event.c.event_id, event.c.type, event.c.error)
        .where(failed, event.c.next_attempt.is_(None))
        .order_by(event.c.receive_time.desc(), event.c.event_id)
        .limit(limit)
    )
    return [GivenUp(event_id=row.event_id, type=row.type, error=row.error) for row in found]
