from stripe import params as accepted

from stripe_emulator import ids
from stripe_emulator.attributes import merged
from stripe_emulator.pagination import page
from stripe_emulator.parameters import Params
from stripe_emulator.periods import Period
from stripe_emulator.routing import get
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World

URL = "/v1/subscription_items"


def add(
    world: World,
    subscription_id: str,
    price: StripeObject,
    *,
    quantity: int,
    period: Period,
    metadata: Params,
) -> StripeObject:
    return world.subscription_items.add(
        {
            "id": ids.new("si"),
            "object": "subscription_item",
            "billed_until": None,
            "billing_thresholds": None,
            "created": world.clock.now(),
            "current_period_end": period.end,
            "current_period_start": period.start,
            "current_trial": None,
            "discounts": [],
            "metadata": merged({}, metadata),
            "plan": plan(price),
            "price": price,
            "quantity": quantity,
            "subscription": subscription_id,
            "tax_rates": [],
        }
    )


def plan(price: StripeObject) -> StripeObject:
    """Describe a recurring price in the words that Stripe used before prices."""
    recurring = price["recurring"]
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": price["billing_scheme"],
        "created": price["created"],
        "currency": price["currency"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "livemode": False,
        "metadata": price["metadata"],
        "meter": None,
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": recurring["trial_period_days"],
        "usage_type": recurring["usage_type"],
    }


def period_of(item: StripeObject) -> Period:
    return Period(item["current_period_start"], item["current_period_end"])


def set_period(item: StripeObject, period: Period) -> None:
    item["current_period_start"], item["current_period_end"] = period


def retrieve(world: World, _params: Params, item: str) -> StripeObject:
    return world.subscription_items.retrieve(item)


def list_(world: World, params: Params) -> StripeObject:
    subscription = params["subscription"]
    world.subscriptions.referenced(subscription, "subscription")
    return page(
        world.subscription_items, params, URL, lambda row: row["subscription"] == subscription
    )


ROUTES = (
    get(URL, list_, accepted.SubscriptionItemListParams),
    get(f"{URL}/{{item}}", retrieve, accepted.SubscriptionItemRetrieveParams),
)
