"""What the emulator answers and sends is what the pinned API version has, no more and no less."""

from typing import Any

import pytest

from tests.emulator.checked import answer_findings
from tests.emulator.resource_types import event_findings, findings
from tests.emulator.shop import FAILS_LATER, GOOD, HOUR, NO_FUNDS, Shop


async def _subscription(shop: Shop, *expand: str) -> Any:
    created = await shop.subscribe()
    paths = "&".join(f"expand[]={path}" for path in expand)
    return await (await shop.raw("GET", f"/v1/subscriptions/{created.id}?{paths}")).json()


def _broken(answer: Any, *path: Any, value: Any = ...) -> Any:
    """Set what the path leads to, or take it away."""
    *way, last = path
    for step in way:
        answer = answer[step]
    if value is ...:
        del answer[last]
    else:
        answer[last] = value


@pytest.mark.parametrize(
    ("path", "value", "finding"),
    [
        (("paid",), True, "subscription.paid: unknown"),
        (("status",), "paid", "subscription.status: 'paid' is not among 8 values"),
        (("status",), None, "subscription.status: null"),
        (("created",), "1", "subscription.created: '1' is no int"),
        (("cancel_at_period_end",), 0, "subscription.cancel_at_period_end: 0 is no bool"),
        (("billing_mode",), ..., "subscription.billing_mode: missing"),
        (("billing_mode", "kind"), "x", "subscription.billing_mode.kind: unknown"),
        (("metadata", "a"), 1, "subscription.metadata.a: 1 is no str"),
        (("customer",), {"object": "product"},
         "subscription.customer: Product instead of Customer"),
        (("latest_invoice", "paid"), True, "subscription.latest_invoice.paid: unknown"),
        (("latest_invoice", "payments", "data", 0, "x"), 1,
         "subscription.latest_invoice.payments.data[0].x: unknown"),
        (("items", "total"), 1, "subscription.items.total: unknown"),
        (("items", "url"), ..., "subscription.items.url: missing"),
        (("items", "data", 0, "id"), ..., "subscription.items.data[0].id: missing"),
        (("items", "data", 0, "price", "unit_amount_decimal"), 10,
         "subscription.items.data[0].price.unit_amount_decimal: 10 instead of a decimal"),
        (("items", "data", 0, "price", "recurring", "interval"), "moon",
         "subscription.items.data[0].price.recurring.interval: 'moon' is not among 4 values"),
        (("discounts",), {}, "subscription.discounts: {} instead of an array"),
        (("object",), "abonnement", "answer: no object of Stripe's"),
    ],
)  # fmt: skip
async def test_the_walk_finds(shop: Shop, path: Any, value: Any, finding: str) -> None:
    subscription = await _subscription(shop, "latest_invoice.payments")
    assert findings(subscription) == []

    _broken(subscription, *path, value=value)

    (found,) = findings(subscription)
    assert found.startswith(finding)


async def test_the_walk_enters_events(shop: Shop) -> None:
    customer = await shop.stripe.customers.create_async({"name": "Ada"})
    await shop.stripe.customers.update_async(customer.id, {"name": "Grace"})
    event = (await (await shop.raw("GET", "/v1/events")).json())["data"][0]

    assert event_findings(event) == []
    event["data"]["previous_attributes"]["nom"] = "Ada"
    event["data"]["object"]["paid"] = True
    event["type"] = "customer.renamed"

    assert [found.rpartition(":")[0] for found in event_findings(event)] == [
        "event.data.object.paid",
        "event.type",
        ".customer.renamed.previous_attributes.nom",
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"not JSON",
        b"{}",
        b'{"error": {"type": "oops"}}',
        b'{"error": {"type": "api_error", "code": null}}',
    ],
)
def test_the_walk_knows_errors(body: bytes) -> None:
    assert len(answer_findings(400, body)) == 1


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


async def test_a_whole_life_emits_many_kinds_of_events(shop: Shop) -> None:
    await _live_through_everything(shop)

    assert len(set(await shop.event_types())) > 25


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
        "/v1/invoice_payments?expand[]=data.invoice&expand[]=data.payment.payment_intent",
        "/v1/invoices?expand[]=data.payments&expand[]=data.confirmation_secret",
        "/v1/prices?expand[]=data.product",
        "/v1/products?expand[]=data.default_price",
        "/v1/subscriptions?status=all&expand[]=data.latest_invoice.payments",
        "/v1/subscriptions?status=all&expand[]=data.default_payment_method",
    ],
)
async def test_lists_are_as_stripes(shop: Shop, path: str) -> None:
    await _live_through_everything(shop)

    response = await shop.raw("GET", path)

    assert response.status == 200
    assert answer_findings(response.status, await response.read()) == []


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
