"""What an account subscribes to, in words for its pages."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from paidup import BillingClient, Subscription, SubscriptionStatus
from storefront.catalog import Catalog

ENDED = frozenset(
    [
        SubscriptionStatus.SUBSCRIPTION_STATUS_CANCELED,
        SubscriptionStatus.SUBSCRIPTION_STATUS_INCOMPLETE_EXPIRED,
    ]
)
#: What a page says, and how it looks. A status that is not here is told as "Inactive".
STATUSES = {
    SubscriptionStatus.SUBSCRIPTION_STATUS_INCOMPLETE: ("Not paid yet", "warn"),
    SubscriptionStatus.SUBSCRIPTION_STATUS_TRIALING: ("Free trial", ""),
    SubscriptionStatus.SUBSCRIPTION_STATUS_ACTIVE: ("Active", ""),
    SubscriptionStatus.SUBSCRIPTION_STATUS_PAST_DUE: ("Payment is late", "warn"),
    SubscriptionStatus.SUBSCRIPTION_STATUS_UNPAID: ("Not paid", "bad"),
    SubscriptionStatus.SUBSCRIPTION_STATUS_PAUSED: ("Paused", "quiet"),
}
INACTIVE = ("Inactive", "quiet")


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """One subscription that lives."""

    subscription_id: str
    name: str
    products: tuple[str, ...]
    status: str
    look: str
    #: What `day` is: "Renews on {day}" and so on; empty where there is no day to tell.
    about_day: str
    day: datetime | None


async def held(billing: BillingClient, catalog: Catalog, account_id: str) -> list[Held]:
    """List what the account subscribes to, newest first. What was never paid is left out."""
    found = [one async for one in billing.iter_subscriptions(account_id=account_id)]
    return [_told(one, catalog) for one in found if _lives(one)]


def _lives(subscription: Subscription) -> bool:
    # A first payment that failed leaves an incomplete one behind; the form may be tried again.
    incomplete = SubscriptionStatus.SUBSCRIPTION_STATUS_INCOMPLETE
    return subscription.status not in ENDED and subscription.status != incomplete


def _told(subscription: Subscription, catalog: Catalog) -> Held:
    products = tuple(item.product_id for item in subscription.items)
    status, look = STATUSES.get(subscription.status, INACTIVE)
    about_day, day = _day(subscription)
    return Held(
        subscription_id=subscription.subscription_id,
        name=" + ".join(_names(products, catalog)),
        products=products,
        status=status,
        look=look,
        about_day=about_day,
        day=day,
    )


def _names(products: Iterable[str], catalog: Catalog) -> list[str]:
    plans = (catalog.plan_named(product) for product in products)
    return [plan.name for plan in plans if plan is not None] or ["Subscription"]


def _day(subscription: Subscription) -> tuple[str, datetime | None]:
    if subscription.HasField("cancel_time"):
        return "Ends on {day}", _moment(subscription.cancel_time)
    if subscription.HasField("trial_end_time") and (
        subscription.status == SubscriptionStatus.SUBSCRIPTION_STATUS_TRIALING
    ):
        return "Free until {day}", _moment(subscription.trial_end_time)
    ends = [_moment(item.current_period_end_time) for item in subscription.items]
    return ("Renews on {day}", max(ends)) if ends else ("", None)


def _moment(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(tzinfo=UTC)
