from itertools import pairwise
from typing import Any

import pytest

from tests.emulator.shop import DAY, FAILS_LATER, GOOD, HOUR, Shop


async def _replace_card(shop: Shop, subscription: Any, number: str) -> Any:
    portal = await shop.portal(subscription.customer)
    return await shop.control(f"/portal/{portal}/payment_method", {"number": number})


async def _until_renewal(shop: Shop, subscription: Any) -> None:
    item = subscription["items"].data[0]
    await shop.advance(item.current_period_end - await shop.now())


async def test_a_renewal_begins_the_period_with_a_draft_and_charges_an_hour_later(
    shop: Shop,
) -> None:
    subscription = await shop.subscribe()
    end = subscription["items"].data[0].current_period_end

    await _until_renewal(shop, subscription)
    renewed = await shop.subscription(subscription.id)
    draft = await shop.stripe.invoices.retrieve_async(renewed.latest_invoice)
    await shop.advance(HOUR)
    paid = await shop.stripe.invoices.retrieve_async(renewed.latest_invoice)

    events = await shop.events(created={"gte": end})
    assert renewed.status == "active"
    assert renewed["items"].data[0].current_period_start == end
    assert (draft.status, draft.billing_reason) == ("draft", "subscription_cycle")
    assert draft.automatically_finalizes_at == end + HOUR
    assert paid.status == "paid"
    assert [(event.type, event.created - end) for event in events] == [
        ("invoice.created", 0),
        ("customer.subscription.updated", 0),
        ("invoice.finalized", HOUR),
        ("payment_intent.created", HOUR),
        ("charge.succeeded", HOUR),
        ("payment_intent.succeeded", HOUR),
        ("invoice.updated", HOUR),
        ("invoice.paid", HOUR),
        ("invoice.payment_succeeded", HOUR),
        ("invoice_payment.paid", HOUR),
    ]
    assert {event.request.id for event in events} == {None}


async def test_a_year_and_some_days_make_thirteen_monthly_invoices(shop: Shop) -> None:
    subscription = await shop.subscribe()

    await shop.advance(370 * DAY)

    invoices = await shop.stripe.invoices.list_async(
        {"subscription": subscription.id, "limit": 100}
    )
    renewed = await shop.subscription(subscription.id)
    assert len(invoices.data) == 13
    assert {invoice.status for invoice in invoices.data} == {"paid"}
    assert renewed["items"].data[0].current_period_end > await shop.now()


async def test_a_failed_renewal_is_past_due_and_recovers_with_a_new_card(shop: Shop) -> None:
    subscription = await shop.subscribe(await shop.price(recurring={"interval": "week"}))
    await _replace_card(shop, subscription, FAILS_LATER)

    await _until_renewal(shop, subscription)
    await shop.advance(HOUR)
    failed = await shop.subscription(subscription.id)
    invoice = await shop.stripe.invoices.retrieve_async(failed.latest_invoice)
    await _replace_card(shop, subscription, GOOD)
    recovered = await shop.subscription(subscription.id)

    updates = await shop.events(type="customer.subscription.updated")
    statuses = [
        (event.data.previous_attributes["status"], event.data.object["status"])
        for event in updates
        if "status" in event.data.previous_attributes
    ]
    assert failed.status == "past_due"
    assert (invoice.status, invoice.attempt_count) == ("open", 1)
    assert invoice.next_payment_attempt is not None
    assert recovered.status == "active"
    assert statuses == [("incomplete", "active"), ("active", "past_due"), ("past_due", "active")]


async def test_a_retry_finds_the_card_that_was_put_on_file_meanwhile(shop: Shop) -> None:
    await shop.control("/settings", {"retry_on_new_payment_method": False}, method="PUT")
    subscription = await shop.subscribe()
    await _replace_card(shop, subscription, FAILS_LATER)
    await _until_renewal(shop, subscription)
    await shop.advance(HOUR)

    await _replace_card(shop, subscription, GOOD)
    waiting = await shop.subscription(subscription.id)
    await shop.advance(3 * DAY)
    recovered = await shop.subscription(subscription.id)

    invoice = await shop.stripe.invoices.retrieve_async(recovered.latest_invoice)
    assert (waiting.status, recovered.status) == ("past_due", "active")
    assert invoice.attempt_count == 2


@pytest.mark.parametrize(
    ("setting", "status"), [("cancel", "canceled"), ("unpaid", "unpaid"), ("past_due", "past_due")]
)
async def test_after_the_last_retry_the_setting_decides(
    shop: Shop, setting: str, status: str
) -> None:
    await shop.control("/settings", {"after_last_retry": setting}, method="PUT")
    subscription = await shop.subscribe()
    await _replace_card(shop, subscription, FAILS_LATER)

    await _until_renewal(shop, subscription)
    await shop.advance(HOUR + 15 * DAY)

    ended = await shop.subscription(subscription.id)
    invoice = await shop.stripe.invoices.retrieve_async(ended.latest_invoice)
    failures = await shop.events(type="invoice.payment_failed")
    gaps = [later.created - earlier.created for earlier, later in pairwise(failures)]
    assert ended.status == status
    assert gaps == [3 * DAY, 5 * DAY, 7 * DAY]
    assert [event.data.object["attempt_count"] for event in failures] == [1, 2, 3, 4]
    assert (invoice.status, invoice.next_payment_attempt) == ("open", None)
    if setting == "cancel":
        assert ended.cancellation_details.reason == "payment_failed"
        assert ended.ended_at == failures[-1].created


async def test_a_late_payment_does_not_bring_a_canceled_subscription_back(shop: Shop) -> None:
    subscription = await shop.subscribe()
    await _replace_card(shop, subscription, FAILS_LATER)
    await _until_renewal(shop, subscription)
    await shop.advance(HOUR + 15 * DAY)
    canceled = await shop.subscription(subscription.id)

    invoice = await shop.stripe.invoices.pay_async(
        canceled.latest_invoice, {"payment_method": "pm_card_visa"}
    )

    assert invoice.status == "paid"
    assert (await shop.subscription(subscription.id)).status == "canceled"


async def test_a_trial_is_announced_three_days_before_and_then_charged(shop: Shop) -> None:
    subscription = await shop.subscribe(subscription_data={"trial_period_days": 10})
    end = subscription.trial_end

    await shop.advance(10 * DAY)
    ended = await shop.subscription(subscription.id)
    await shop.advance(HOUR)

    (reminder,) = await shop.events(type="customer.subscription.trial_will_end")
    invoice = await shop.stripe.invoices.retrieve_async(ended.latest_invoice)
    assert reminder.created == end - 3 * DAY
    assert (ended.status, ended["items"].data[0].current_period_start) == ("active", end)
    assert (invoice.status, invoice.total) == ("paid", 1000)


async def test_a_trial_with_a_card_that_fails_ends_past_due(shop: Shop) -> None:
    subscription = await shop.subscribe(
        number=FAILS_LATER, subscription_data={"trial_period_days": 5}
    )

    await shop.advance(5 * DAY + HOUR)

    assert (await shop.subscription(subscription.id)).status == "past_due"


@pytest.mark.parametrize(
    ("behavior", "status", "event"),
    [
        ("cancel", "canceled", "customer.subscription.deleted"),
        ("pause", "paused", "customer.subscription.paused"),
        ("create_invoice", "past_due", "invoice.payment_failed"),
    ],
)
async def test_a_trial_without_a_card_ends_as_was_agreed(
    shop: Shop, behavior: str, status: str, event: str
) -> None:
    session = await shop.session(
        payment_method_collection="if_required",
        subscription_data={
            "trial_period_days": 5,
            "trial_settings": {"end_behavior": {"missing_payment_method": behavior}},
        },
    )
    await shop.pay(session.id, None)
    (subscription,) = (await shop.stripe.subscriptions.list_async()).data

    await shop.advance(5 * DAY + HOUR)

    assert (await shop.subscription(subscription.id)).status == status
    assert event in await shop.event_types()


async def test_a_paused_subscription_resumes_and_is_charged_at_once(shop: Shop) -> None:
    session = await shop.session(
        payment_method_collection="if_required",
        subscription_data={
            "trial_period_days": 5,
            "trial_settings": {"end_behavior": {"missing_payment_method": "pause"}},
        },
    )
    await shop.pay(session.id, None)
    (subscription,) = (await shop.stripe.subscriptions.list_async()).data
    await shop.advance(6 * DAY)
    portal = await shop.portal(str(subscription.customer))
    await shop.control(f"/portal/{portal}/payment_method", {"number": GOOD})

    resumed = await shop.stripe.subscriptions.resume_async(
        subscription.id, {"billing_cycle_anchor": {"type": "now"}}
    )

    invoice = await shop.stripe.invoices.retrieve_async(str(resumed.latest_invoice))
    assert resumed.status == "active"
    assert resumed.status_details is None
    assert (invoice.status, invoice.total) == ("paid", 1000)


async def test_items_of_different_rhythms_renew_each_at_their_time(shop: Shop) -> None:
    product = await shop.product()
    monthly = await shop.price(product, 1000)
    weekly = await shop.price(product, 100, recurring={"interval": "week"})
    items = [{"price": monthly.id, "quantity": 1}, {"price": weekly.id, "quantity": 1}]
    subscription = await shop.subscribe(monthly, line_items=items)

    await shop.advance(7 * DAY + HOUR)

    first, second = (await shop.stripe.invoices.list_async({"subscription": subscription.id})).data[
        ::-1
    ]
    assert (first.total, second.total) == (1100, 100)


async def test_what_is_due_happens_in_order_and_at_its_own_time(shop: Shop) -> None:
    for _ in range(3):
        await shop.subscribe(await shop.price(recurring={"interval": "day"}))
        await shop.advance(60)

    await shop.advance(5 * DAY)

    created = [event.created for event in await shop.events()]
    assert created == sorted(created)
    assert created[-1] <= await shop.now()


async def test_only_the_latest_invoice_makes_up_for_missed_payments(shop: Shop) -> None:
    await shop.control(
        "/settings", {"after_last_retry": "past_due", "retry_after_days": []}, method="PUT"
    )
    subscription = await shop.subscribe(await shop.price(recurring={"interval": "week"}))
    await _replace_card(shop, subscription, FAILS_LATER)
    await shop.advance(14 * DAY + HOUR)
    latest, older, _first = (
        await shop.stripe.invoices.list_async({"subscription": subscription.id})
    ).data

    await shop.stripe.invoices.pay_async(older.id, {"payment_method": "pm_card_visa"})
    after_older = await shop.subscription(subscription.id)
    await shop.stripe.invoices.pay_async(latest.id, {"payment_method": "pm_card_visa"})
    after_latest = await shop.subscription(subscription.id)

    assert (after_older.status, after_latest.status) == ("past_due", "active")
