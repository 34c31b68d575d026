"""Previews of invoices: what they say has to come true, and asking changes nothing."""

from typing import Any

import pytest
import stripe

from tests.emulator.shop import DAY, HOUR, Shop


async def preview(shop: Shop, subscription: Any, **details: Any) -> Any:
    params: Any = {"subscription": subscription.id}
    if details:
        params["subscription_details"] = details
    return await shop.stripe.invoices.create_preview_async(params)


def content(invoice: Any) -> Any:
    lines = [
        (line.amount, line.description, line.period.start, line.period.end)
        for line in invoice.lines.data
    ]
    return invoice.subtotal, invoice.total, invoice.amount_due, lines


async def test_the_next_invoice_comes_as_it_was_previewed(shop: Shop) -> None:
    coupon = await shop.stripe.coupons.create_async({"percent_off": 10, "duration": "forever"})
    subscription = await shop.subscribe(discounts=[{"coupon": coupon.id}])
    before = len(await shop.events())

    previewed = await preview(shop, subscription)

    asked_nothing = len(await shop.events()) == before
    await shop.advance(31 * DAY)
    again = await shop.subscription(subscription.id)
    invoice = await shop.stripe.invoices.retrieve_async(str(again.latest_invoice))
    assert asked_nothing
    assert previewed.billing_reason == "upcoming"
    assert previewed.total == 900
    assert content(previewed) == content(invoice)


@pytest.mark.parametrize("behavior", ["create_prorations", "always_invoice", "none"])
async def test_a_change_costs_what_was_previewed(shop: Shop, behavior: str) -> None:
    # On a clock that stands still the second of asking is the second of changing.
    start = await shop.now()
    clock = await shop.stripe.test_helpers.test_clocks.create_async({"frozen_time": start})
    customer = await shop.stripe.customers.create_async({"test_clock": clock.id})
    product = await shop.product("reports")
    small, large = await shop.price(product), await shop.price(product, 3000)
    extra = await shop.price(product, 500)
    session = await shop.session(small, customer=customer.id)
    await shop.pay(session.id)
    (subscription,) = (await shop.stripe.subscriptions.list_async({"customer": customer.id})).data
    item = subscription["items"].data[0]
    change = {
        "items": [{"id": item.id, "price": large.id, "quantity": 2}, {"price": extra.id}],
        "proration_behavior": behavior,
    }
    await _advance(shop, clock, start + 10 * DAY)

    previewed = await preview(shop, subscription, **change)
    unchanged = await shop.subscription(subscription.id)
    await shop.stripe.subscriptions.update_async(subscription.id, change)
    if behavior != "always_invoice":
        await _advance(shop, clock, item.current_period_end + HOUR)

    changed = await shop.subscription(subscription.id)
    invoice = await shop.stripe.invoices.retrieve_async(str(changed.latest_invoice))
    listed = await shop.stripe.subscription_items.list_async({"subscription": subscription.id})
    assert [one.price.id for one in unchanged["items"].data] == [small.id]
    assert len(listed.data) == 2
    assert content(previewed) == content(invoice)


async def _advance(shop: Shop, clock: Any, moment: int) -> None:
    await shop.stripe.test_helpers.test_clocks.advance_async(clock.id, {"frozen_time": moment})


async def test_what_ends_has_no_next_invoice(shop: Shop) -> None:
    subscription = await shop.subscribe()
    await shop.stripe.subscriptions.update_async(subscription.id, {"cancel_at_period_end": True})

    with pytest.raises(stripe.InvalidRequestError) as refused:
        await preview(shop, subscription)

    assert refused.value.code == "invoice_upcoming_none"


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({}, "subscription"),
        ({"subscription": "sub_none"}, "subscription"),
        ({"subscription": "own", "customer": "cus_other"}, "customer"),
        (
            {"subscription": "own", "subscription_details": {"trial_end": "now"}},
            "subscription_details[trial_end]",
        ),
        ({"subscription": "own", "schedule": "sub_sched"}, "schedule"),
    ],
)
async def test_impossible_previews_are_refused(shop: Shop, params: Any, param: str) -> None:
    subscription = await shop.subscribe()
    if params.get("subscription") == "own":
        params = {**params, "subscription": subscription.id}

    with pytest.raises(stripe.InvalidRequestError) as refused:
        await shop.stripe.invoices.create_preview_async(params)

    assert refused.value.param == param
