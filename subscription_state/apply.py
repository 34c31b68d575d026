"""What each type of event does to the shared state, under Rule 1."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from subscription_state import rule_one
from subscription_state.checkouts import Noted
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
from subscription_state.unit_of_work import UnitOfWork, Wanted


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


Apply = Callable[[UnitOfWork, Content], Applied]
#: Finds an id in `data.object`; may raise `UnexpectedShape`.
Named = Callable[[Mapping[str, Any]], str | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """What a type of event does, and which of the stored things it looks at."""

    apply: Apply
    subscription: Named | None = None
    session: Named | None = None
    account: Named | None = None


def is_of_interest(type_: str) -> bool:
    """Tell whether events of this type are stored: they change, or may change, what we keep."""
    return _rule_for(type_) is not None


def concerns_catalog(type_: str) -> bool:
    """Tell whether events of this type tell of products rather than of a customer."""
    return _rule_for(type_) is _CATALOG


def wanted(event: Mapping[str, Any], type_: str) -> Wanted:
    """Name what has to be read before the event can be applied."""
    rule, held = _rule_for(type_), event["data"]["object"]
    if rule is None:
        return Wanted()
    return Wanted(
        subscription_id=_named(rule.subscription, held),
        session_id=_named(rule.session, held),
        account_id=_named(rule.account, held),
    )


def _named(name: Named | None, held: Mapping[str, Any]) -> str | None:
    try:
        return None if name is None else name(held)
    except UnexpectedShape:
        # The rule meets it too, and then asks.
        return None


def apply(
    work: UnitOfWork, event: Mapping[str, Any], received: ReceivedEvent, *, ticket: int
) -> Applied:
    """Save what the event says where Rule 1 allows it.

    Another API version than ours, or a shape that we do not know, is never
    saved: the customer is read instead.
    """
    rule = _rule_for(received.type)
    if rule is None or event.get("api_version") != API_VERSION:
        return Applied(ask=True)
    try:
        return rule.apply(work, _content(event, received, ticket))
    except UnexpectedShape:
        return Applied(ask=True)


def _content(event: Mapping[str, Any], received: ReceivedEvent, ticket: int) -> Content:
    data = event["data"]
    previous = data.get("previous_attributes") or {}
    if not isinstance(previous, Mapping):
        raise UnexpectedShape("The event does not tell what it replaced.")
    return Content(received=received, held=data["object"], previous=previous, ticket=ticket)


def _subscription(work: UnitOfWork, content: Content) -> Applied:
    incoming = subscription_from_stripe(content.held)
    stored = work.subscriptions.get(incoming.subscription_id)
    event = rule_one.SubscriptionEvent(
        created=content.received.create_time, subscription=incoming, previous=content.previous
    )
    linked = _link(work, content, incoming.customer_id)
    verdict = rule_one.judge(stored, event)
    if verdict is not rule_one.Verdict.SAVE:
        return Applied(saved=linked, ask=verdict is rule_one.Verdict.ASK)
    _save(work, content, merged(stored, incoming), stored)
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


def _save(
    work: UnitOfWork,
    content: Content,
    incoming: Subscription,
    stored: StoredSubscription | None,
) -> None:
    work.fence(incoming.customer_id, content.ticket)
    work.save(incoming, event_time=content.received.create_time)
    if stored is None or stored.subscription != incoming:
        work.publish(incoming.customer_id, content.ticket, content.now)


def _paid_invoice(work: UnitOfWork, content: Content) -> Applied:
    return _first_payment(work, content, FirstPayment.CONFIRMED)


def _dead_invoice(work: UnitOfWork, content: Content) -> Applied:
    if content.held.get("billing_reason") != "subscription_create":
        return Applied()
    return _first_payment(work, content, FirstPayment.FAILED)


def _first_payment(work: UnitOfWork, content: Content, known: FirstPayment) -> Applied:
    """Save what an invoice tells about the first payment.

    That only ever goes from pending over failed to confirmed, whatever order
    the events come in, so it needs no comparison of times.
    """
    subscription_id = subscription_of_invoice(content.held)
    if subscription_id is None:
        return Applied()
    stored = work.subscriptions.get(subscription_id)
    if stored is None:
        return Applied(ask=True)
    before = stored.subscription
    if before.first_payment in (known, FirstPayment.CONFIRMED):
        return Applied()
    work.fence(before.customer_id, content.ticket)
    work.save(replace(before, first_payment=known), event_time=stored.event_time)
    work.publish(before.customer_id, content.ticket, content.now)
    return Applied(saved=True)


def _checkout_session(work: UnitOfWork, content: Content) -> Applied:
    session = content.held
    noted = Noted(
        session_id=required_id(session),
        status=text_of(session.get("status")),
        payment_status=text_of(session.get("payment_status")),
        subscription_id=id_of(session.get("subscription")),
    )
    return Applied(saved=work.note_session(noted))


def _customer(work: UnitOfWork, content: Content) -> Applied:
    customer_id = required_id(content.held)
    return Applied(saved=_link(work, content, customer_id))


def _deleted_customer(work: UnitOfWork, content: Content) -> Applied:
    customer_id = required_id(content.held)
    if not work.mark_deleted(customer_id):
        return Applied()
    work.fence(customer_id, content.ticket)
    work.publish(customer_id, content.ticket, content.now)
    return Applied(saved=True)


def _catalog(work: UnitOfWork, content: Content) -> Applied:
    # The object holds no features; the service reads them from Stripe.
    work.want_catalog(content.ticket)
    return Applied(saved=True)


def _touch_only(_work: UnitOfWork, _content: Content) -> Applied:
    return Applied()


def _ask(_work: UnitOfWork, _content: Content) -> Applied:
    return Applied(ask=True)


def _link(work: UnitOfWork, content: Content, customer_id: str) -> bool:
    account_id = account_of(content.held)
    if account_id is None or not work.link(customer_id, account_id):
        return False
    work.publish(customer_id, content.ticket, content.now)
    return True


_SUBSCRIPTION = Rule(apply=_subscription, subscription=required_id, account=account_of)
_CUSTOMER = Rule(apply=_customer, account=account_of)
_DEAD_INVOICE = Rule(apply=_dead_invoice, subscription=subscription_of_invoice)
_SESSION = Rule(apply=_checkout_session, session=required_id)
_CATALOG = Rule(apply=_catalog)

_RULES: dict[str, Rule] = {
    "customer.created": _CUSTOMER,
    "customer.updated": _CUSTOMER,
    "customer.deleted": Rule(apply=_deleted_customer),
    "invoice.paid": Rule(apply=_paid_invoice, subscription=subscription_of_invoice),
    "invoice.payment_failed": Rule(apply=_ask),
    "invoice.voided": _DEAD_INVOICE,
    "invoice.marked_uncollectible": _DEAD_INVOICE,
    "checkout.session.completed": _SESSION,
    "checkout.session.expired": _SESSION,
    "checkout.session.async_payment_succeeded": _SESSION,
    "checkout.session.async_payment_failed": _SESSION,
    # Stripe's own summary has at most ten entries; it only says that something changed.
    "entitlements.active_entitlement_summary.updated": Rule(apply=_touch_only),
    "product.created": _CATALOG,
    "product.updated": _CATALOG,
    "product.deleted": _CATALOG,
}

#: All of these carry a whole subscription, also those that Stripe may add.
_SUBSCRIPTION_EVENTS = "customer.subscription."
#: Those that Stripe sends today.
SUBSCRIPTION_TYPES = frozenset(
    f"{_SUBSCRIPTION_EVENTS}{what}"
    for what in (
        "created",
        "updated",
        "deleted",
        "paused",
        "resumed",
        "trial_will_end",
        "pending_update_applied",
        "pending_update_expired",
    )
)
#: What a webhook endpoint has to send: every type that changes, or may change, what we keep.
EVENT_TYPES = frozenset(_RULES) | SUBSCRIPTION_TYPES


def _rule_for(type_: str) -> Rule | None:
    if type_.startswith(_SUBSCRIPTION_EVENTS):
        return _SUBSCRIPTION
    return _RULES.get(type_)
