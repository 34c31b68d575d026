"""What every decision has to be, computed from Stripe's own objects.

Written from the table in `docs/architecture.md` and from nothing of the service's code, so that
a mistake there is not repeated here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]

GRACE = timedelta(days=3)
ENTITLING = frozenset({"ACTIVE", "TRIALING", "GRACE_PERIOD"})
#: Best first, or nearest to entitled.
BEST_FIRST = (
    "ACTIVE",
    "TRIALING",
    "GRACE_PERIOD",
    "PAYMENT_PENDING",
    "PAST_DUE",
    "PAUSED",
    "INCOMPLETE",
    "PAYMENT_FAILED",
    "UNPAID",
    "CANCELED",
)
BY_STATUS_ALONE = {
    "canceled": "CANCELED",
    "incomplete": "INCOMPLETE",
    "incomplete_expired": "INCOMPLETE",
    "paused": "PAUSED",
    "unpaid": "UNPAID",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth:
    """One subscription at Stripe, with its invoices, newest first."""

    subscription: Json
    invoices: list[Json]

    @property
    def products(self) -> set[str]:
        return {item["price"]["product"] for item in self.subscription["items"]["data"]}

    @property
    def live(self) -> bool:
        return self.subscription["status"] in ("trialing", "active", "past_due", "unpaid", "paused")


def reason(truths: Iterable[Truth], products: set[str], now: datetime) -> str:
    """Tell why an account may use what those products give, or why not."""
    held = list(truths)
    reasons = {_reason(each, now) for each in held if each.products & products}
    if reasons:
        return min(reasons, key=BEST_FIRST.index)
    return "NOT_IN_PLAN" if any(each.live for each in held) else "NO_SUBSCRIPTION"


def _reason(truth: Truth, now: datetime) -> str:
    subscription = truth.subscription
    cancel_at = subscription["cancel_at"]
    if cancel_at is not None and now >= _moment(cancel_at):
        return "CANCELED"
    if subscription["status"] in BY_STATUS_ALONE:
        return BY_STATUS_ALONE[subscription["status"]]
    if subscription["status"] == "trialing":
        is_over = now >= _moment(subscription["trial_end"])
        return "PAYMENT_PENDING" if is_over else "TRIALING"
    if subscription["status"] == "past_due":
        return "GRACE_PERIOD" if now < _grace_end(truth) else "PAST_DUE"
    # What was never billed owes nothing.
    return next(_first_payment(truth), "ACTIVE")


def _grace_end(truth: Truth) -> datetime:
    unpaid = [each["created"] for each in truth.invoices if each["status"] == "open"]
    return _moment(min(unpaid)) + GRACE


def _first_payment(truth: Truth) -> Iterator[str]:
    for invoice in truth.invoices:
        if invoice["status"] == "paid":
            yield "ACTIVE"
        if invoice["billing_reason"] == "subscription_create":
            if invoice["status"] == "open":
                yield "PAYMENT_PENDING"
            if invoice["status"] in ("void", "uncollectible"):
                yield "PAYMENT_FAILED"


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
