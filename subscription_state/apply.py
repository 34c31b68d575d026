"""What each type of event does to the shared state, under Rule 1."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import catalog, checkouts, customers, rule_one, subscriptions
from subscription_state.errors import UnexpectedShape
from subscription_state.events import ReceivedEvent
from subscription_state.from_stripe import (
    API_VERSION,
    account_of,
    id_of,
    required_id,
    subscription_from_stripe,
    subscription_of_invoice,
    text_of,
)
from subscription_state.model import FirstPayment, Status, StoredSubscription, Subscription


@dataclass(frozen=True, kw_only=True, slots=True)
class Applied:
    """What became of an event's content."""

    saved: bool = False
    #: The customer has to be read at once.
    ask: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """An event, as the functions below want it."""

    received: ReceivedEvent
    #: `data.object`.
    held: Mapping[str, Any]
    #: `data.previous_attributes`.
    previous: Mapping[str, Any]
    #: Doubles as the revision of what the event changes.
    ticket: int

    @property
    def now(self) -> datetime:
        return self.received.receive_time


Apply = Callable[[AsyncConnection, Content], Awaitable[Applied]]


def is_of_interest(type_: str) -> bool:
    """Tell whether events of this type are stored: they change, or may change, what we keep."""
    return _rule_for(type_) is not None


def concerns_catalog(type_: str) -> bool:
    """Tell whether events of this type tell of products rather than of a customer."""
    return _rule_for(type_) is _catalog


async def apply(
    connection: AsyncConnection,
    event: Mapping[str, Any],
    received: ReceivedEvent,
    *,
    ticket: int,
) -> Applied:
    """Save what the event says where Rule 1 allows it.

    Another API version than ours, or a shape that we do not know, is never
    saved: the customer is read instead.
    """
    rule = _rule_for(received.type)
    if rule is None or event.get("api_version") != API_VERSION:
        return Applied(ask=True)
    try:
        return await rule(connection, _content(event, received, ticket))
    except UnexpectedShape:
        return Applied(ask=True)


def _content(event: Mapping[str, Any], received: ReceivedEvent, ticket: int) -> Content:
    data = event["data"]
    previous = data.get("previous_attributes") or {}
    if not isinstance(previous, Mapping):
        raise UnexpectedShape("The event does not tell what it replaced.")
    return Content(received=received, held=data["object"], previous=previous, ticket=ticket)


async def _subscription(connection: AsyncConnection, content: Content) -> Applied:
    incoming = subscription_from_stripe(content.held)
    stored = await subscriptions.get(connection, incoming.subscription_id)
    event = rule_one.SubscriptionEvent(
        created=content.received.create_time, subscription=incoming, previous=content.previous
    )
    linked = await _link(connection, content, incoming.customer_id)
    verdict = rule_one.judge(stored, event)
    if verdict is not rule_one.Verdict.SAVE:
        return Applied(saved=linked, ask=verdict is rule_one.Verdict.ASK)
    await _save(connection, content, merged(stored, incoming), stored)
    return Applied(saved=True)


def merged(stored: StoredSubscription | None, incoming: Subscription) -> Subscription:
    """Keep what a subscription's own event does not tell: payments are told by invoices."""
    if stored is None:
        return incoming
    before = stored.subscription
    known = (
        incoming.first_payment
        if incoming.first_payment is FirstPayment.CONFIRMED
        else before.first_payment
    )
    still_unpaid = incoming.status is Status.PAST_DUE and before.unpaid_since is not None
    return replace(
        incoming,
        first_payment=known,
        unpaid_since=before.unpaid_since if still_unpaid else incoming.unpaid_since,
    )


async def _save(
    connection: AsyncConnection,
    content: Content,
    incoming: Subscription,
    stored: StoredSubscription | None,
) -> None:
    freshness = {"event_time": content.received.create_time}
    await subscriptions.save(connection, incoming, freshness=freshness)
    await customers.fence(connection, incoming.customer_id, content.ticket)
    if stored is None or stored.subscription != incoming:
        await _publish(connection, content, incoming.customer_id)


async def _paid_invoice(connection: AsyncConnection, content: Content) -> Applied:
    return await _first_payment(connection, content, FirstPayment.CONFIRMED)


async def _dead_invoice(connection: AsyncConnection, content: Content) -> Applied:
    if content.held.get("billing_reason") != "subscription_create":
        return Applied()
    return await _first_payment(connection, content, FirstPayment.FAILED)


async def _first_payment(
    connection: AsyncConnection, content: Content, known: FirstPayment
) -> Applied:
    """Save what an invoice tells about the first payment.

    That only ever goes from pending over failed to confirmed, whatever order
    the events come in, so it needs no comparison of times.
    """
    subscription_id = subscription_of_invoice(content.held)
    stored = subscription_id and await subscriptions.get(connection, subscription_id)
    if not stored:
        return Applied(ask=subscription_id is not None)
    before = stored.subscription
    if before.first_payment in (known, FirstPayment.CONFIRMED):
        return Applied()
    freshness = {"event_time": stored.event_time}
    await subscriptions.save(connection, replace(before, first_payment=known), freshness=freshness)
    await customers.fence(connection, before.customer_id, content.ticket)
    await _publish(connection, content, before.customer_id)
    return Applied(saved=True)


async def _checkout_session(connection: AsyncConnection, content: Content) -> Applied:
    session = content.held
    saved = await checkouts.note_status(
        connection,
        session_id=required_id(session),
        status=text_of(session.get("status")),
        payment_status=text_of(session.get("payment_status")),
        subscription_id=id_of(session.get("subscription")),
    )
    return Applied(saved=saved)


async def _customer(connection: AsyncConnection, content: Content) -> Applied:
    customer_id = required_id(content.held)
    return Applied(saved=await _link(connection, content, customer_id))


async def _deleted_customer(connection: AsyncConnection, content: Content) -> Applied:
    customer_id = required_id(content.held)
    if not await customers.mark_deleted(connection, customer_id):
        return Applied()
    await customers.fence(connection, customer_id, content.ticket)
    await _publish(connection, content, customer_id)
    return Applied(saved=True)


async def _catalog(connection: AsyncConnection, content: Content) -> Applied:
    # The object holds no features; the service reads them from Stripe.
    await catalog.want_read(connection, content.ticket)
    return Applied(saved=True)


async def _touch_only(_connection: AsyncConnection, _content: Content) -> Applied:
    return Applied()


async def _ask(_connection: AsyncConnection, _content: Content) -> Applied:
    return Applied(ask=True)


async def _link(connection: AsyncConnection, content: Content, customer_id: str) -> bool:
    account_id = account_of(content.held)
    if account_id is None or not await customers.link(connection, customer_id, account_id):
        return False
    await _publish(connection, content, customer_id)
    return True


async def _publish(connection: AsyncConnection, content: Content, customer_id: str) -> None:
    owner = await customers.get(connection, customer_id)
    if owner is not None and owner.account_id is not None:
        await customers.record_change(connection, owner.account_id, content.ticket, content.now)


_RULES: dict[str, Apply] = {
    "customer.created": _customer,
    "customer.updated": _customer,
    "customer.deleted": _deleted_customer,
    "invoice.paid": _paid_invoice,
    "invoice.payment_failed": _ask,
    "invoice.voided": _dead_invoice,
    "invoice.marked_uncollectible": _dead_invoice,
    "checkout.session.completed": _checkout_session,
    "checkout.session.expired": _checkout_session,
    "checkout.session.async_payment_succeeded": _checkout_session,
    "checkout.session.async_payment_failed": _checkout_session,
    # Stripe's own summary has at most ten entries; it only says that something changed.
    "entitlements.active_entitlement_summary.updated": _touch_only,
    "product.created": _catalog,
    "product.updated": _catalog,
    "product.deleted": _catalog,
}

#: All of these carry a whole subscription, also those that Stripe may add.
_SUBSCRIPTION_EVENTS = "customer.subscription."


def _rule_for(type_: str) -> Apply | None:
    if type_.startswith(_SUBSCRIPTION_EVENTS):
        return _subscription
    return _RULES.get(type_)
