"""Rule 2, verify soon: save what a read of a whole customer from Stripe found."""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import customers, head, subscriptions, touches
from subscription_state.model import TERMINAL, Status, StoredSubscription, Subscription


@dataclass(frozen=True, kw_only=True, slots=True)
class CustomerRead:
    """Everything that Stripe said about one customer."""

    customer_id: str
    #: Drawn before the read began.
    ticket: int
    subscriptions: tuple[Subscription, ...]
    #: Stripe knows the customer no more.
    deleted: bool
    #: The account that the customer's metadata names, if any.
    account_id: str | None
    #: The read happened between these, in Stripe's clock.
    as_of_start: datetime
    as_of_end: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Saved:
    """What came of saving a read."""

    #: False where something newer had been saved meanwhile: read again.
    fresh: bool
    #: How many subscriptions differed from what Stripe said.
    drift: int = 0
    #: Whether anything of the account is not as it was before.
    changed: bool = False
    #: The spans that had touched the customer, as `traceparent`s.
    traceparents: tuple[str, ...] = ()


async def save_read(connection: AsyncConnection, read: CustomerRead, *, now: datetime) -> Saved:
    """Save what Stripe said, unless anything of the customer was saved under a newer ticket."""
    locked = (await customers.lock(connection, [read.customer_id]))[read.customer_id]
    if locked.saved_ticket > read.ticket:
        return Saved(fresh=False)
    stored = {
        each.subscription.subscription_id: each
        for each in await subscriptions.of_customer(connection, read.customer_id)
    }
    drift = await _save_subscriptions(connection, read, stored, now)
    news = await _save_customer(connection, read)
    await customers.note_read(connection, read.customer_id, read.ticket, now)
    traceparents = await touches.clear(connection, read.customer_id, up_to=read.ticket)
    changed = bool(drift or news)
    if changed:
        await _publish(connection, read.customer_id, now)
    return Saved(fresh=True, drift=drift, changed=changed, traceparents=traceparents)


async def _save_subscriptions(
    connection: AsyncConnection,
    read: CustomerRead,
    stored: dict[str, StoredSubscription],
    now: datetime,
) -> int:
    found = {each.subscription_id: each for each in read.subscriptions}
    vanished = [
        _ended(each.subscription, now)
        for subscription_id, each in stored.items()
        if subscription_id not in found
    ]
    freshness = {
        "as_of_start": read.as_of_start,
        "as_of_end": read.as_of_end,
        "verified_at": now,
    }
    drift = 0
    for each in [*found.values(), *vanished]:
        before = stored.get(each.subscription_id)
        drift += before is None or before.subscription != each
        await subscriptions.save(connection, each, freshness=freshness)
    return drift


def _ended(gone: Subscription, now: datetime) -> Subscription:
    """Give what is left of a subscription that Stripe no longer lists: it has ended."""
    if gone.status in TERMINAL:
        return gone
    return replace(gone, status=Status.CANCELED, end_time=now, unpaid_since=None)


async def _save_customer(connection: AsyncConnection, read: CustomerRead) -> bool:
    if read.deleted:
        return await customers.mark_deleted(connection, read.customer_id)
    if read.account_id is None:
        return False
    return await customers.link(connection, read.customer_id, read.account_id)


async def _publish(connection: AsyncConnection, customer_id: str, now: datetime) -> None:
    owner = await customers.get(connection, customer_id)
    if owner is not None and owner.account_id is not None:
        revision = await head.draw(connection)
        await customers.record_change(connection, owner.account_id, revision, now)
