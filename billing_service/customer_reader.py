"""Reads everything about one customer from Stripe, as Rule 2 wants it."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from billing_service.metrics import UNKNOWN_STATUSES
from billing_service.stripe_api import Json, LiveStripe
from billing_service.stripe_errors import StripeRefused
from subscription_state.from_stripe import (
    account_of,
    judge_first_payment,
    moment,
    subscription_from_stripe,
)
from subscription_state.model import FirstPayment, Status, Subscription
from subscription_state.verification import CustomerRead


async def read_customer(
    stripe: LiveStripe, customer_id: str, *, ticket: int, known_account: str | None
) -> CustomerRead:
    """Read a customer with all its subscriptions; `ticket` must have been drawn before.

    The customer itself is read only where no account is known to own it, whose name
    its metadata may hold, or where it may be gone: a deleted one has nothing that lives.
    """
    try:
        listed = await stripe.subscriptions(customer_id)
    except StripeRefused as refusal:
        return await _read_of_missing(stripe, customer_id, ticket, refusal)
    judged = [await _judge(stripe, raw) for raw in listed.objects]
    lives = any(each.subscription.live for each in judged)
    needless = known_account is not None and lives
    owner = _Owner() if needless else await _owner(stripe, customer_id)
    return CustomerRead(
        customer_id=customer_id,
        ticket=ticket,
        subscriptions=tuple(each.subscription for each in judged),
        deleted=owner.deleted,
        account_id=owner.account_id or _account_named_by(listed.objects),
        as_of_start=listed.start,
        as_of_end=max([listed.end, *(each.end for each in judged if each.end is not None)]),
    )


async def _read_of_missing(
    stripe: LiveStripe, customer_id: str, ticket: int, refusal: StripeRefused
) -> CustomerRead:
    """Read a customer whose subscriptions Stripe does not list: it is gone, with all of them."""
    if not refusal.is_missing or not (await _owner(stripe, customer_id)).deleted:
        raise refusal
    now = datetime.now(UTC)
    return CustomerRead(
        customer_id=customer_id,
        ticket=ticket,
        subscriptions=(),
        deleted=True,
        account_id=None,
        as_of_start=now,
        as_of_end=now,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Owner:
    account_id: str | None = None
    deleted: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class _Judged:
    """A subscription with its payments, and when reading these ended."""

    subscription: Subscription
    end: datetime | None = None


async def _owner(stripe: LiveStripe, customer_id: str) -> _Owner:
    try:
        raw = await stripe.customer(customer_id)
    except StripeRefused as refusal:
        if not refusal.is_missing:
            raise
        return _Owner(deleted=True)
    return _Owner(account_id=account_of(raw), deleted=bool(raw.get("deleted")))


def _account_named_by(subscriptions: tuple[Json, ...]) -> str | None:
    return next((name for name in map(account_of, subscriptions) if name is not None), None)


async def _judge(stripe: LiveStripe, raw: Json) -> _Judged:
    if (raw.get("items") or {}).get("has_more"):
        return await _judge_whole(stripe, raw)
    subscription = subscription_from_stripe(raw)
    if subscription.status is Status.UNKNOWN:
        UNKNOWN_STATUSES.inc()
    if subscription.status is Status.PAST_DUE:
        return await _with_unpaid_since(stripe, raw, subscription)
    if subscription.status is Status.ACTIVE and not _latest_invoice_tells(raw):
        return await _with_first_payment(stripe, subscription)
    return _Judged(subscription=subscription)


async def _judge_whole(stripe: LiveStripe, raw: Json) -> _Judged:
    items = await stripe.subscription_items(raw["id"])
    whole = raw | {"items": {"data": list(items.objects), "has_more": False}}
    judged = await _judge(stripe, whole)
    return replace(judged, end=judged.end or items.end)


def _latest_invoice_tells(raw: Json) -> bool:
    invoice: Any = raw.get("latest_invoice")
    return invoice is None or judge_first_payment([invoice]) is not None


async def _with_first_payment(stripe: LiveStripe, subscription: Subscription) -> _Judged:
    """Look further back: the latest invoice is a draft or a renewal that is not yet paid."""
    invoices = await stripe.invoices(subscription.subscription_id)
    told = judge_first_payment(invoices.objects) or FirstPayment.PENDING
    return _Judged(subscription=replace(subscription, first_payment=told), end=invoices.end)


async def _with_unpaid_since(stripe: LiveStripe, raw: Json, subscription: Subscription) -> _Judged:
    """Date the grace from the oldest unpaid invoice: a later renewal does not begin it anew."""
    unpaid = await stripe.invoices(subscription.subscription_id, status="open")
    oldest = min((moment(each["created"]) for each in unpaid.objects), default=None)
    told = subscription.first_payment if _latest_invoice_tells(raw) else FirstPayment.CONFIRMED
    return _Judged(
        subscription=replace(
            subscription,
            first_payment=told,
            unpaid_since=oldest or subscription.unpaid_since,
        ),
        end=unpaid.end,
    )
