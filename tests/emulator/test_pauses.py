"""Pausing: of the collection alone, and of a subscription as a whole."""

from typing import Any

import pytest
import stripe

from tests.emulator.shop import DAY, HOUR, Shop


async def newest(shop: Shop, subscription_id: str) -> Any:
    return (await shop.stripe.invoices.list_async({"subscription": subscription_id})).data[0]


async def pause_collection(shop: Shop, subscription_id: str, **terms: Any) -> Any:
    return await shop.stripe.subscriptions.update_async(
        subscription_id, {"pause_collection": terms}
    )


@pytest.mark.parametrize(
    ("behavior", "status", "event"),
    [
        ("keep_as_draft", "draft", "invoice.created"),
        ("mark_uncollectible", "uncollectible", "invoice.marked_uncollectible"),
        ("void", "void", "invoice.voided"),
    ],
)
async def test_while_collection_is_paused_invoices_are_disposed_of(
    shop: Shop, behavior: str, status: str, event: str
) -> None:
    subscription = await shop.subscribe()
    before = len(await shop.events())

    paused = await pause_collection(shop, subscription.id, behavior=behavior)
    types = (await shop.event_types())[before:]
    await shop.advance(32 * DAY)

    invoice = await newest(shop, subscription.id)
    assert types == ["customer.subscription.updated"]
    assert (paused.status, paused.pause_collection.behavior) == ("active", behavior)
    assert (invoice.status, invoice.auto_advance, invoice.amount_paid) == (status, False, 0)
    assert (await shop.subscription(subscription.id)).status == "active"
    assert event in await shop.event_types()


@pytest.mark.parametrize("how", ["by itself", "on request"])
async def test_collection_goes_on(shop: Shop, how: str) -> None:
    subscription = await shop.subscribe()
    resumes_at = subscription.created + 40 * DAY
    terms = {"resumes_at": resumes_at} if how == "by itself" else {}
    await pause_collection(shop, subscription.id, behavior="void", **terms)

    await shop.advance(40 * DAY)
    if how == "on request":
        await shop.stripe.subscriptions.update_async(subscription.id, {"pause_collection": ""})
    again = await shop.subscription(subscription.id)
    updates = await shop.events(type="customer.subscription.updated")
    await shop.advance(31 * DAY)

    assert again.pause_collection is None
    assert (await newest(shop, subscription.id)).status == "paid"
    types = await shop.event_types()
    assert not {"customer.subscription.paused", "customer.subscription.resumed"} & set(types)
    if how == "by itself":
        (resumed,) = [
            event for event in updates if "pause_collection" in event.data.previous_attributes
        ]
        assert resumed.created == resumes_at


async def test_a_change_that_is_billed_at_once_is_held_back_too(shop: Shop) -> None:
    subscription = await shop.subscribe()
    await pause_collection(shop, subscription.id, behavior="keep_as_draft")

    item = subscription["items"].data[0].id
    await shop.stripe.subscriptions.update_async(
        subscription.id,
        {"items": [{"id": item, "quantity": 3}], "proration_behavior": "always_invoice"},
    )

    invoice = await newest(shop, subscription.id)
    assert (invoice.status, invoice.billing_reason) == ("draft", "subscription_update")


async def test_collection_cannot_resume_in_the_past(shop: Shop) -> None:
    subscription = await shop.subscribe()

    with pytest.raises(stripe.InvalidRequestError, match="future") as refused:
        await pause_collection(shop, subscription.id, behavior="void", resumes_at=1)

    assert refused.value.param == "pause_collection[resumes_at]"


async def test_a_paused_subscription_is_not_billed_until_it_is_resumed(shop: Shop) -> None:
    subscription = await shop.subscribe()

    paused = await shop.stripe.subscriptions.pause_async(subscription.id)
    types = await shop.event_types()
    await shop.advance(70 * DAY)
    invoices = await shop.stripe.invoices.list_async({"subscription": subscription.id})
    resumed = await shop.stripe.subscriptions.resume_async(subscription.id)

    invoice = await newest(shop, subscription.id)
    assert paused.status == "paused"
    assert paused.status_details.paused.subscription.type == "pause_requested"
    assert len(invoices.data) == 1
    assert (resumed.status, invoice.status) == ("active", "paid")
    assert invoice.created - subscription.created >= 70 * DAY
    assert types[-2:] == ["customer.subscription.paused", "customer.subscription.updated"]
    assert "customer.subscription.resumed" in await shop.event_types()


@pytest.mark.parametrize(
    "params",
    [
        {"bill_for": {"unused_time_from": {"type": "now"}}},
        {"bill_for": {"outstanding_usage_through": {"type": "now"}}},
    ],
)
async def test_a_pause_that_would_be_billed_for_is_refused(
    shop: Shop, params: dict[str, Any]
) -> None:
    subscription = await shop.subscribe()

    with pytest.raises(stripe.InvalidRequestError, match="does not support"):
        await shop.stripe.subscriptions.pause_async(subscription.id, params)

    assert (await shop.subscription(subscription.id)).status == "active"


async def test_what_is_over_cannot_be_paused(shop: Shop) -> None:
    subscription = await shop.subscribe()
    await shop.stripe.subscriptions.cancel_async(subscription.id)

    with pytest.raises(stripe.InvalidRequestError, match="canceled"):
        await shop.stripe.subscriptions.pause_async(subscription.id)


async def test_a_renewal_in_its_draft_hour_is_still_charged(shop: Shop) -> None:
    subscription = await shop.subscribe()
    end = subscription["items"].data[0].current_period_end
    await shop.advance(end - await shop.now() + 60)

    await pause_collection(shop, subscription.id, behavior="void")
    await shop.advance(HOUR)

    assert (await newest(shop, subscription.id)).status == "paid"
