from typing import Any

import pytest
import stripe

from tests.emulator.shop import DAY, Shop


async def _customer(shop: Shop, token: str = "pm_card_visa") -> Any:
    return await shop.stripe.customers.create_async(
        {"payment_method": token, "invoice_settings": {"default_payment_method": token}}
        if token
        else {}
    )


async def _create(shop: Shop, customer: Any, price: Any = None, **params: Any) -> Any:
    price = price or await shop.price()
    return await shop.stripe.subscriptions.create_async(
        {"customer": customer.id, "items": [{"price": price.id}], **params}
    )


async def test_the_api_creates_and_charges(shop: Shop) -> None:
    subscription = await _create(
        shop, await _customer(shop), metadata={"account_id": "a"}, expand=["latest_invoice"]
    )

    assert subscription.status == "active"
    assert subscription.latest_invoice.status == "paid"
    assert subscription.metadata.account_id == "a"
    assert subscription.billing_mode.type == "flexible"
    assert "current_period_end" not in subscription


async def test_default_incomplete_waits_for_the_payment(shop: Shop) -> None:
    subscription = await _create(
        shop,
        await _customer(shop, ""),
        payment_behavior="default_incomplete",
        expand=["latest_invoice.confirmation_secret"],
    )

    invoice = await shop.stripe.invoices.pay_async(
        subscription.latest_invoice.id, {"payment_method": "pm_card_visa"}
    )

    assert subscription.status == "incomplete"
    assert subscription.latest_invoice.confirmation_secret.client_secret.startswith("pi_")
    assert invoice.status == "paid"
    assert (await shop.subscription(subscription.id)).status == "active"


async def test_allow_incomplete_keeps_a_declined_one(shop: Shop) -> None:
    subscription = await _create(shop, await _customer(shop, "pm_card_chargeCustomerFail"))

    assert subscription.status == "incomplete"


async def test_error_if_incomplete_keeps_nothing(shop: Shop) -> None:
    customer = await _customer(shop, "pm_card_chargeCustomerFail")

    with pytest.raises(stripe.CardError) as declined:
        await _create(shop, customer, payment_behavior="error_if_incomplete")

    assert declined.value.http_status == 402
    assert declined.value.code == "card_declined"
    assert (await shop.stripe.subscriptions.list_async({"status": "all"})).data == []


async def test_a_customer_without_a_card_cannot_be_charged(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="no attached payment source"):
        await _create(shop, await _customer(shop, ""))

    assert (await shop.stripe.subscriptions.list_async({"status": "all"})).data == []


async def test_a_card_that_is_refused_is_not_attached(shop: Shop) -> None:
    with pytest.raises(stripe.CardError, match="insufficient funds"):
        await _customer(shop, "pm_card_chargeDeclinedInsufficientFunds")

    assert "payment_method.attached" not in await shop.event_types()


async def test_canceling_ends_it_and_only_once(shop: Shop) -> None:
    subscription = await _create(shop, await _customer(shop))

    canceled = await shop.stripe.subscriptions.cancel_async(
        subscription.id, {"cancellation_details": {"comment": "bye"}}
    )
    with pytest.raises(stripe.InvalidRequestError) as second:
        await shop.stripe.subscriptions.cancel_async(subscription.id)

    assert canceled.status == "canceled"
    assert canceled.ended_at is not None
    assert canceled.cancellation_details.comment == "bye"
    assert (second.value.http_status, second.value.code) == (404, "resource_missing")


async def test_a_canceled_one_takes_notes_only(shop: Shop) -> None:
    subscription = await _create(shop, await _customer(shop))
    await shop.stripe.subscriptions.cancel_async(subscription.id)

    noted = await shop.stripe.subscriptions.update_async(subscription.id, {"metadata": {"a": "1"}})
    with pytest.raises(stripe.InvalidRequestError):
        await shop.stripe.subscriptions.update_async(subscription.id, {"description": "x"})

    assert noted.metadata["a"] == "1"


@pytest.mark.parametrize(
    ("params", "undo"),
    [
        ({"cancel_at_period_end": True}, {"cancel_at_period_end": False}),
        ({"cancel_at": "max_period_end"}, {"cancel_at": ""}),
        ({"cancel_at": "min_period_end"}, {"cancel_at": ""}),
    ],
)
async def test_a_cancellation_is_scheduled_and_taken_back(
    shop: Shop, params: Any, undo: Any
) -> None:
    subscription = await _create(shop, await _customer(shop))
    end = subscription["items"].data[0].current_period_end

    scheduled = await shop.stripe.subscriptions.update_async(subscription.id, params)
    undone = await shop.stripe.subscriptions.update_async(subscription.id, undo)

    assert scheduled.cancel_at == end
    assert scheduled.cancel_at_period_end is params.get("cancel_at_period_end", False)
    assert (undone.cancel_at, undone.cancel_at_period_end) == (None, False)


async def test_cancel_at_ends_it_then(shop: Shop) -> None:
    subscription = await _create(shop, await _customer(shop))
    moment = await shop.now() + 5 * DAY
    await shop.stripe.subscriptions.update_async(subscription.id, {"cancel_at": moment})

    await shop.advance(6 * DAY)

    assert (await shop.subscription(subscription.id)).ended_at == moment


@pytest.mark.parametrize("cancel_at", [1, 2**40])
async def test_a_cancel_at_out_of_reach_is_refused(shop: Shop, cancel_at: int) -> None:
    subscription = await _create(shop, await _customer(shop))

    with pytest.raises(stripe.InvalidRequestError, match="Invalid timestamp"):
        await shop.stripe.subscriptions.update_async(subscription.id, {"cancel_at": cancel_at})

    assert (await shop.subscription(subscription.id)).cancel_at is None


async def test_prorations_wait_for_the_next_invoice_unless_asked(shop: Shop) -> None:
    product = await shop.product()
    small, large = await shop.price(product, 1000), await shop.price(product, 3000)
    subscription = await _create(shop, await _customer(shop), small)
    item = subscription["items"].data[0]

    await shop.stripe.subscriptions.update_async(
        subscription.id, {"items": [{"id": item.id, "price": large.id}]}
    )
    immediately = (await shop.stripe.invoices.list_async()).data
    await shop.advance(32 * DAY)

    renewal = (await shop.stripe.invoices.list_async()).data[0]
    assert len(immediately) == 1
    assert renewal.total == pytest.approx(3000 + 2000, abs=2)
    assert len(renewal.lines.data) == 3


async def test_without_proration_nothing_is_added(shop: Shop) -> None:
    product = await shop.product()
    small, large = await shop.price(product, 1000), await shop.price(product, 3000)
    subscription = await _create(shop, await _customer(shop), small)

    changed = await shop.stripe.subscriptions.update_async(
        subscription.id,
        {
            "items": [{"id": subscription["items"].data[0].id, "price": large.id}],
            "proration_behavior": "none",
        },
    )
    await shop.advance(32 * DAY)

    assert changed["items"].data[0].price.id == large.id
    assert (await shop.stripe.invoices.list_async()).data[0].total == 3000


async def test_items_are_added_and_removed(shop: Shop) -> None:
    product = await shop.product()
    first, second = await shop.price(product), await shop.price(product, 500)
    subscription = await _create(shop, await _customer(shop), first)

    both = await shop.stripe.subscriptions.update_async(
        subscription.id, {"items": [{"price": second.id, "quantity": 3}]}
    )
    one = await shop.stripe.subscriptions.update_async(
        subscription.id, {"items": [{"id": both["items"].data[0].id, "deleted": True}]}
    )

    assert [item.price.id for item in both["items"].data] == [first.id, second.id]
    assert [(item.price.id, item.quantity) for item in one["items"].data] == [(second.id, 3)]


@pytest.mark.parametrize(
    "items",
    [
        [{"id": "si_none", "quantity": 2}],
        [{"quantity": 2}],
        [{"price": "price_none"}],
    ],
)
async def test_impossible_items_change_nothing(shop: Shop, items: Any) -> None:
    subscription = await _create(shop, await _customer(shop))

    with pytest.raises(stripe.InvalidRequestError):
        await shop.stripe.subscriptions.update_async(subscription.id, {"items": items})

    after = await shop.subscription(subscription.id)
    assert after["items"].data[0].quantity == 1


async def test_the_last_item_stays(shop: Shop) -> None:
    subscription = await _create(shop, await _customer(shop))
    item = subscription["items"].data[0].id

    with pytest.raises(stripe.InvalidRequestError, match="at least one active item"):
        await shop.stripe.subscriptions.update_async(
            subscription.id, {"items": [{"id": item, "deleted": True}]}
        )

    assert len((await shop.subscription(subscription.id))["items"].data) == 1


async def test_a_change_of_rhythm_charges_from_now_to_the_new_end(shop: Shop) -> None:
    product = await shop.product()
    monthly = await shop.price(product, 1000)
    yearly = await shop.price(product, 10000, recurring={"interval": "year"})
    subscription = await _create(shop, await _customer(shop), monthly)

    changed = await shop.stripe.subscriptions.update_async(
        subscription.id,
        {
            "items": [{"id": subscription["items"].data[0].id, "price": yearly.id}],
            "proration_behavior": "always_invoice",
            "expand": ["latest_invoice"],
        },
    )

    item = changed["items"].data[0]
    assert 365 * DAY <= item.current_period_end - subscription.created <= 366 * DAY
    assert changed.latest_invoice.total == pytest.approx(9000, abs=2)


async def test_a_trial_ends_on_request(shop: Shop) -> None:
    subscription = await _create(shop, await _customer(shop), trial_period_days=10)

    ended = await shop.stripe.subscriptions.update_async(
        subscription.id, {"trial_end": "now", "expand": ["latest_invoice"]}
    )

    assert (subscription.status, ended.status) == ("trialing", "active")
    assert ended.latest_invoice.status == "paid"
    assert ended.latest_invoice.total == 1000


async def test_a_trial_shortened_below_three_days_is_announced_at_once(shop: Shop) -> None:
    subscription = await _create(shop, await _customer(shop), trial_period_days=10)

    await shop.stripe.subscriptions.update_async(
        subscription.id, {"trial_end": await shop.now() + DAY}
    )

    assert "customer.subscription.trial_will_end" in await shop.event_types()


async def test_lists_are_filtered(shop: Shop) -> None:
    price = await shop.price()
    first, second = await _customer(shop), await _customer(shop)
    active = await _create(shop, first, price)
    canceled = await _create(shop, first)
    other = await _create(shop, second)
    await shop.stripe.subscriptions.cancel_async(canceled.id)

    async def ids(**params: Any) -> set[str]:
        page = await shop.stripe.subscriptions.list_async(params)  # type: ignore[arg-type]
        return {subscription.id for subscription in page}

    assert await ids() == {active.id, other.id}
    assert await ids(customer=first.id) == {active.id}
    assert await ids(customer=first.id, status="all") == {active.id, canceled.id}
    assert await ids(status="ended") == {canceled.id}
    assert await ids(status="canceled") == {canceled.id}
    assert await ids(price=price.id) == {active.id}
    assert await ids(status="past_due") == set()


async def test_items_are_listed_apart(shop: Shop) -> None:
    subscription = await _create(shop, await _customer(shop))

    (item,) = await shop.stripe.subscription_items.list_async({"subscription": subscription.id})

    assert item.id == subscription["items"].data[0].id
    assert item.current_period_end > item.current_period_start


async def test_invoices_are_listed_and_voided(shop: Shop) -> None:
    customer = await _customer(shop, "pm_card_chargeCustomerFail")
    subscription = await _create(shop, customer)

    (invoice,) = (
        await shop.stripe.invoices.list_async({"customer": customer.id, "status": "open"})
    ).data
    voided = await shop.stripe.invoices.void_invoice_async(invoice.id)
    with pytest.raises(stripe.InvalidRequestError):
        await shop.stripe.invoices.pay_async(invoice.id)

    payments = await shop.stripe.invoice_payments.list_async({"invoice": invoice.id})
    assert invoice.parent.subscription_details.subscription == subscription.id
    assert voided.status == "void"
    assert [payment.status for payment in payments] == ["canceled"]


async def test_an_invoice_is_found_by_its_payment_intent(shop: Shop) -> None:
    subscription = await _create(shop, await _customer(shop))
    (payment,) = await shop.stripe.invoice_payments.list_async(
        {"invoice": subscription.latest_invoice}
    )

    found = await shop.stripe.invoice_payments.list_async(
        {
            "payment": {
                "type": "payment_intent",
                "payment_intent": payment.payment.payment_intent,
            }
        }
    )

    assert [one.invoice for one in found] == [subscription.latest_invoice]


async def test_paying_with_a_bad_card_is_a_card_error(shop: Shop) -> None:
    subscription = await _create(shop, await _customer(shop, "pm_card_chargeCustomerFail"))

    with pytest.raises(stripe.CardError) as declined:
        await shop.stripe.invoices.pay_async(subscription.latest_invoice)

    assert declined.value.error is not None
    assert declined.value.error.decline_code == "generic_decline"


@pytest.mark.parametrize(
    "params",
    [
        {"discounts": [{"coupon": "x"}]},
        {"payment_behavior": "pending_if_incomplete"},
        {"collection_method": "send_invoice"},
        {"billing_mode": {"type": "classic"}},
        {"trial_period_days": 5000},
        {"items": []},
    ],
)
async def test_what_is_not_followed_is_refused_rather_than_ignored(shop: Shop, params: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        await _create(shop, await _customer(shop), **params)

    assert (await shop.stripe.subscriptions.list_async({"status": "all"})).data == []
