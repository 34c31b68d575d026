"""What the emulator answers has only fields that the pinned API version knows."""

from importlib import import_module
from typing import Any, get_args

import pytest
import stripe
from stripe._object_classes import OBJECT_CLASSES

from tests.emulator.shop import FAILS_LATER, GOOD, HOUR, NO_FUNDS, Shop


def unknown_fields(value: Any, kind: Any = None, path: str = "") -> list[str]:
    """Walk an answer beside the SDK's resource types; give the paths that these do not have."""
    if isinstance(value, list):
        return [found for one in value for found in unknown_fields(one, kind, f"{path}[]")]
    if not isinstance(value, dict):
        return []
    annotations = _annotations(value, kind)
    if annotations is None:
        return []
    return [
        found
        for name, inner in value.items()
        for found in (
            unknown_fields(inner, annotations[name], f"{path}.{name}")
            if name in annotations
            else [f"{path}.{name}"]
        )
    ]


def _annotations(value: dict[str, Any], kind: Any) -> dict[str, Any] | None:
    if isinstance(value.get("object"), str):
        module, name = OBJECT_CLASSES[value["object"]]
        return {"object": str, **getattr(import_module(module), name).__annotations__}
    for option in (kind, *get_args(kind)):
        for inner in (option, *get_args(option)):
            if (
                isinstance(inner, type)
                and inner.__module__.startswith("stripe.")
                and ("UntypedStripeObject" not in inner.__name__)
            ):
                return dict(inner.__annotations__)
    return None


async def test_the_walk_finds_a_field_that_does_not_exist() -> None:
    invoice = {"object": "invoice", "paid": True, "parent": {"type": "x", "subscription": "y"}}

    assert unknown_fields(invoice) == [".paid", ".parent.subscription"]


async def _live_through_everything(shop: Shop) -> None:
    product = await shop.product("reports")
    small, large = await shop.price(product), await shop.price(product, 3000)
    weekly = await shop.price(product, recurring={"interval": "week"})
    session = await shop.session(small)
    await shop.pay(session.id, NO_FUNDS)
    await shop.pay(session.id, GOOD)
    await shop.stripe.checkout.sessions.expire_async((await shop.session(small)).id)
    trial = await shop.subscribe(large, subscription_data={"trial_period_days": 5})
    failing = await shop.subscribe(weekly)
    portal = await shop.portal(failing.customer)
    await shop.control(f"/portal/{portal}/update", {"quantity": 2})
    await shop.control(f"/portal/{portal}/payment_method", {"number": FAILS_LATER})
    await shop.control(f"/portal/{await shop.portal(trial.customer)}/cancel", {})
    await shop.advance(22 * 24 * HOUR)


async def test_every_event_carries_only_known_fields_and_types(shop: Shop) -> None:
    await _live_through_everything(shop)

    events = [event.to_dict(for_json=True) for event in await shop.events()]
    known = set(get_args(stripe.Event.__annotations__["type"]))
    types = {event["type"] for event in events}
    assert unknown_fields(events) == []
    assert [unknown_fields(event["data"]["object"], None, event["type"]) for event in events] == [
        [] for _ in events
    ]
    assert types <= known
    assert len(types) > 25


@pytest.mark.parametrize(
    "path",
    [
        "/v1/account",
        "/v1/balance",
        "/v1/billing_portal/configurations",
        "/v1/checkout/sessions?expand[]=data.line_items&expand[]=data.subscription",
        "/v1/customers?expand[]=data.subscriptions",
        "/v1/entitlements/features",
        "/v1/events",
        "/v1/invoice_payments",
        "/v1/invoices?expand[]=data.payments&expand[]=data.confirmation_secret",
        "/v1/prices",
        "/v1/products",
        "/v1/subscriptions?status=all&expand[]=data.default_payment_method",
    ],
)
async def test_lists_carry_only_known_fields(shop: Shop, path: str) -> None:
    await _live_through_everything(shop)

    response = await shop.raw("GET", path)

    body = await response.json()
    assert response.status == 200
    assert unknown_fields(body) == []


async def test_what_a_subscription_must_have_it_has(shop: Shop) -> None:
    subscription = (await shop.subscribe()).to_dict(for_json=True)

    item = subscription["items"]["data"][0]
    assert {"current_period_start", "current_period_end"} <= item.keys()
    assert not {"current_period_start", "current_period_end"} & subscription.keys()
    assert item["price"]["product"].startswith("prod_")
    assert {
        "automatic_tax",
        "billing_cycle_anchor",
        "billing_mode",
        "billing_schedules",
        "cancel_at_period_end",
        "collection_method",
        "created",
        "currency",
        "customer",
        "discounts",
        "id",
        "invoice_settings",
        "items",
        "livemode",
        "metadata",
        "object",
        "start_date",
        "status",
    } <= subscription.keys()
