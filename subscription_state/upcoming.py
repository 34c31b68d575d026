"""Whose entitlements the clock changes, and when it may: asked by ranges, never of everybody."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, select, union
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state.catalog import Catalog
from subscription_state.entitlements import Policy
from subscription_state.model import Status
from subscription_state.tables import customer, grant, subscription


def graces(catalog: Catalog, policy: Policy) -> set[timedelta]:
    """Give every time for which some product forgives a late payment."""
    own = {each.grace_days for each in catalog.values() if each.grace_days is not None}
    return {policy.grace, *(timedelta(days=days) for days in own)}


async def accounts_between(
    connection: AsyncConnection, start: datetime, end: datetime, *, graces: Collection[timedelta]
) -> list[str]:
    """List the accounts of which something ends by the clock after `start` and up to `end`."""
    late = subscription.c.status == Status.PAST_DUE.value
    subscribed = select(customer.c.account_id).join(
        subscription, subscription.c.customer_id == customer.c.customer_id
    )
    # Each by an index of its own, which an OR of them all might not be.
    ending = [
        subscribed.where(_within(subscription.c.trial_end, start, end)),
        subscribed.where(_within(subscription.c.cancel_time, start, end)),
        *(
            subscribed.where(_within(subscription.c.unpaid_since, start - each, end - each), late)
            for each in graces
        ),
    ]
    known = [each.where(customer.c.account_id.is_not(None)) for each in ending]
    granted = select(grant.c.account_id).where(_within(grant.c.expire_time, start, end))
    return list((await connection.execute(union(*known, granted))).scalars())


def _within(moment: ColumnElement[Any], start: datetime, end: datetime) -> ColumnElement[bool]:
    return and_(moment > start, moment <= end)
