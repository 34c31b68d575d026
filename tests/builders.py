"""Makes what tests need, complete and plausible; a test names only what it is about.

`a_…` and `an_…` give the model's own data, `a_stripe_…` and `a_stripe_event`
give what Stripe would send, as parsed JSON of the pinned API version.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from subscription_state.catalog import Catalog, Product
from subscription_state.checkouts import CheckoutSession
from subscription_state.from_stripe import API_VERSION
from subscription_state.ingest import Delivery, delivery_from_stripe
from subscription_state.model import (
    AccountState,
    FirstPayment,
    Grant,
    Item,
    Status,
    StoredSubscription,
    Subscription,
)
from subscription_state.verification import CustomerRead

#: When everything happens unless a test says otherwise; whole seconds, as Stripe's times are.
NOW = datetime(2026, 11, 2, 12, 0, 0, tzinfo=UTC)

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


class _LeftOut:
    def __repr__(self) -> str:
        # Part of tests' names, which must be the same in every process.
        return "LEFT_OUT"


#: Tells a field that is left out of Stripe's JSON from one that is null.
LEFT_OUT: Any = _LeftOut()

Json = dict[str, Any]


def seconds(time: datetime | None) -> int | None:
    """Give a time as Stripe gives it."""
    return None if time is None else int(time.timestamp())


def an_item(**overrides: Any) -> Item:
    values: dict[str, Any] = {
        "price_id": "price_team",
        "product_id": "prod_team",
        "quantity": 1,
        "period_end": NOW + 30 * DAY,
    }
    return Item(**values | overrides)


def a_subscription(**overrides: Any) -> Subscription:
    """Make a subscription that is paid for: active, its first payment confirmed."""
    values: dict[str, Any] = {
        "subscription_id": "sub_1",
        "customer_id": "cus_1",
        "status": Status.ACTIVE,
        "items": (an_item(),),
        "create_time": NOW - DAY,
        "first_payment": FirstPayment.CONFIRMED,
    }
    return Subscription(**values | overrides)


def a_stored_subscription(
    subscription: Subscription | None = None, **overrides: Any
) -> StoredSubscription:
    values: dict[str, Any] = {
        "subscription": subscription or a_subscription(),
        "event_time": None,
        "as_of_start": None,
        "as_of_end": None,
        "verified_at": None,
    }
    return StoredSubscription(**values | overrides)


def a_grant(**overrides: Any) -> Grant:
    values: dict[str, Any] = {
        "grant_id": "grant_1",
        "account_id": "acct_1",
        "feature": "reports",
        "expire_time": None,
        "note": "for the beta",
        "creator": "alice",
        "create_time": NOW - DAY,
        "revoke_time": None,
    }
    return Grant(**values | overrides)


def an_account(*subscriptions: Subscription, **overrides: Any) -> AccountState:
    values: dict[str, Any] = {"account_id": "acct_1", "subscriptions": subscriptions}
    return AccountState(**values | overrides)


def a_product(
    product_id: str = "prod_team",
    *features: str,
    name: str = "Team",
    grace_days: int | None = None,
) -> Product:
    return Product(
        product_id=product_id, name=name, features=frozenset(features), grace_days=grace_days
    )


def a_catalog(*products: Product) -> Catalog:
    """Make a catalogue; without products, one that gives `reports` with `prod_team`."""
    chosen = products or (a_product("prod_team", "reports"),)
    return {product.product_id: product for product in chosen}


def a_checkout_session(**overrides: Any) -> CheckoutSession:
    values: dict[str, Any] = {
        "session_id": "cs_test_1",
        "account_id": "acct_1",
        "fingerprint": "one team",
        "status": "open",
        "payment_status": "unpaid",
        "subscription_id": None,
        "expire_time": NOW + DAY,
    }
    return CheckoutSession(**values | overrides)


def a_customer_read(*subscriptions: Subscription, **overrides: Any) -> CustomerRead:
    """Make a read of `cus_1` that happened within a second of `NOW`."""
    values: dict[str, Any] = {
        "customer_id": "cus_1",
        "ticket": 1,
        "subscriptions": subscriptions,
        "deleted": False,
        "account_id": None,
        "as_of_start": NOW - SECOND,
        "as_of_end": NOW + SECOND,
    }
    return CustomerRead(**values | overrides)


def a_stripe_item(**overrides: Any) -> Json:
    product = overrides.pop("product", "prod_team")
    price = {"id": "price_team", "object": "price", "product": product}
    values: Json = {
        "id": "si_1",
        "object": "subscription_item",
        "price": price,
        "quantity": 1,
        "current_period_start": seconds(NOW - DAY),
        "current_period_end": seconds(NOW + 30 * DAY),
    }
    return _without_left_out(values | overrides)


def a_stripe_subscription(**overrides: Any) -> Json:
    """Make a Subscription object as events carry it: active, nothing expanded."""
    items = overrides.pop("items", [a_stripe_item()])
    values: Json = {
        "id": "sub_1",
        "object": "subscription",
        "customer": "cus_1",
        "status": "active",
        "created": seconds(NOW - DAY),
        "items": {"object": "list", "data": items, "has_more": False},
        "trial_end": None,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "ended_at": None,
        "latest_invoice": "in_1",
        "metadata": {"account_id": "acct_1"},
    }
    return _without_left_out(values | overrides)


def a_stripe_invoice(**overrides: Any) -> Json:
    """Make the paid first Invoice of `sub_1`."""
    subscription = overrides.pop("subscription", "sub_1")
    values: Json = {
        "id": "in_1",
        "object": "invoice",
        "customer": "cus_1",
        "status": "paid",
        "billing_reason": "subscription_create",
        "created": seconds(NOW - DAY),
        "parent": {
            "type": "subscription_details",
            "subscription_details": {"subscription": subscription, "metadata": {}},
        },
        "metadata": {},
    }
    return _without_left_out(values | overrides)


def a_stripe_customer(**overrides: Any) -> Json:
    values: Json = {
        "id": "cus_1",
        "object": "customer",
        "email": "jenny@example.com",
        "metadata": {"account_id": "acct_1"},
    }
    return _without_left_out(values | overrides)


def a_stripe_checkout_session(**overrides: Any) -> Json:
    """Make a Checkout Session that was completed and paid."""
    values: Json = {
        "id": "cs_test_1",
        "object": "checkout.session",
        "customer": "cus_1",
        "mode": "subscription",
        "status": "complete",
        "payment_status": "paid",
        "subscription": "sub_1",
        "client_reference_id": "acct_1",
        "metadata": {"account_id": "acct_1"},
    }
    return _without_left_out(values | overrides)


def a_stripe_event(
    type_: str = "customer.subscription.updated",
    held: Mapping[str, Any] | None = None,
    *,
    previous: Mapping[str, Any] | None = None,
    created: Any = NOW,
    **overrides: Any,
) -> Json:
    """Make an Event of our own account in test mode; `held` is its `data.object`."""
    data: Json = {"object": dict(a_stripe_subscription() if held is None else held)}
    if previous is not None:
        data["previous_attributes"] = dict(previous)
    values: Json = {
        "id": "evt_1",
        "object": "event",
        "api_version": API_VERSION,
        "created": seconds(created) if isinstance(created, datetime) else created,
        "data": data,
        "livemode": False,
        "type": type_,
    }
    return _without_left_out(values | overrides)


def a_delivery(event: Mapping[str, Any] | None = None, *, received: datetime = NOW) -> Delivery:
    """Make a delivery of a Stripe event, as the gateway makes it once the signature was right."""
    content = a_stripe_event() if event is None else event
    return delivery_from_stripe(content, json.dumps(content).encode(), received=received)


def _without_left_out(values: Json) -> Json:
    return {name: value for name, value in values.items() if value is not LEFT_OUT}
