"""Test clocks: a customer's own time beside everybody's."""

from typing import Any

import pytest
import stripe

from tests.emulator.shop import DAY, FAILS_LATER, GOOD, HOUR, Shop

#: 2030-01-31, whose day of the month February does not have.
START = 1_896_048_000


async def clock(shop: Shop, **params: Any) -> Any:
    return await shop.stripe.test_helpers.test_clocks.create_async(
        {"frozen_time": START, "name": "a year in a moment", **params}
    )


async def customer_on(shop: Shop, made: Any, token: str = "pm_card_visa") -> Any:
    return await shop.stripe.customers.create_async(
        {
            "email": "ada@example.com",
            "test_clock": made.id,
            "invoice_settings": {"default_payment_method": token},
            "payment_method": token,
        }
    )


async def subscription_on(shop: Shop, made: Any, **params: Any) -> Any:
    customer = await customer_on(shop, made)
    price = await shop.price()
    return await shop.stripe.subscriptions.create_async(
        {"customer": customer.id, "items": [{"price": price.id}], **params}
    )


async def advance(shop: Shop, made: Any, to: int) -> Any:
    return await shop.stripe.test_helpers.test_clocks.advance_async(made.id, {"frozen_time": to})


async def test_a_customer_on_a_clock_lives_in_its_time(shop: Shop) -> None:
    made = await clock(shop)

    subscription = await subscription_on(shop, made)

    invoice = await shop.stripe.invoices.retrieve_async(str(subscription.latest_invoice))
    customer = await shop.stripe.customers.retrieve_async(str(subscription.customer))
    assert {customer.created, subscription.created, invoice.created} == {START}
    assert {customer.test_clock, subscription.test_clock, invoice.test_clock} == {made.id}
    assert made.created < START
    assert (made.status, made.deletes_after) == ("ready", made.created + 30 * DAY)


async def test_everybodys_time_moves_nothing_on_a_clock(shop: Shop) -> None:
    made = await clock(shop)
    subscription = await subscription_on(shop, made)

    await shop.advance(400 * DAY)

    with pytest.raises(stripe.InvalidRequestError, match="No such test_clock"):
        await shop.stripe.test_helpers.test_clocks.retrieve_async(made.id)
    invoices = await shop.stripe.invoices.list_async({"subscription": subscription.id})
    assert len(invoices.data) == 1


async def test_a_clock_that_advances_renews_in_its_own_time(shop: Shop) -> None:
    made = await clock(shop)
    subscription = await subscription_on(shop, made)
    end = subscription["items"].data[0].current_period_end
    before = len(await shop.events())

    advancing = await advance(shop, made, end + HOUR)

    ready = await shop.stripe.test_helpers.test_clocks.retrieve_async(made.id)
    events = (await shop.events())[before:]
    lived = [event for event in events if not event.type.startswith("test_helpers.")]
    newest = (await shop.stripe.invoices.list_async({"subscription": subscription.id})).data[0]
    assert advancing.status == "advancing"
    assert advancing.status_details.advancing.target_frozen_time == end + HOUR
    assert (ready.status, ready.frozen_time) == ("ready", end + HOUR)
    assert events[0].type == "test_helpers.test_clock.advancing"
    assert events[-1].type == "test_helpers.test_clock.ready"
    assert [event.created for event in lived] == sorted(event.created for event in lived)
    assert {event.created for event in lived} == {end, end + HOUR}
    assert (newest.status, newest.created) == ("paid", end)
    # The 31st comes back after February.
    again = await shop.subscription(subscription.id)
    assert again["items"].data[0].current_period_end - again.billing_cycle_anchor == 59 * DAY


async def test_two_clocks_do_not_know_of_each_other(shop: Shop) -> None:
    first, second = await clock(shop), await clock(shop, frozen_time=START + DAY)
    moved = await subscription_on(shop, first)
    still = await subscription_on(shop, second)

    await advance(shop, first, START + 40 * DAY)

    of_moved = await shop.stripe.invoices.list_async({"subscription": moved.id})
    of_still = await shop.stripe.invoices.list_async({"subscription": still.id})
    assert (len(of_moved.data), len(of_still.data)) == (2, 1)
    assert still.created == START + DAY


async def test_dunning_goes_on_across_advances(shop: Shop) -> None:
    made = await clock(shop)
    subscription = await subscription_on(shop, made)
    portal = await shop.portal(str(subscription.customer))
    await shop.control(f"/portal/{portal}/payment_method", {"number": FAILS_LATER})
    end = subscription["items"].data[0].current_period_end

    await advance(shop, made, end + HOUR)
    behind = await shop.subscription(subscription.id)
    await advance(shop, made, end + 20 * DAY)
    ended = await shop.subscription(subscription.id)

    assert (behind.status, ended.status) == ("past_due", "canceled")
    assert ended.ended_at == end + HOUR + 15 * DAY


async def test_checkout_with_a_customer_on_a_clock(shop: Shop) -> None:
    made = await clock(shop)
    customer = await customer_on(shop, made)
    price = await shop.price(await shop.product("reports"))
    session = await shop.session(price, customer=customer.id)

    await shop.pay(session.id, GOOD)

    (subscription,) = (await shop.stripe.subscriptions.list_async({"customer": customer.id})).data
    (summary,) = await shop.events(type="entitlements.active_entitlement_summary.updated")
    assert (session.created, subscription.created, summary.created) == (START, START, START)


async def test_who_lives_on_a_clock_is_listed_only_when_asked_for(shop: Shop) -> None:
    made = await clock(shop)
    subscription = await subscription_on(shop, made)
    elsewhere = await shop.stripe.customers.create_async({})

    everybody = await shop.stripe.customers.list_async()
    on_clock = await shop.stripe.customers.list_async({"test_clock": made.id})
    subscriptions = await shop.stripe.subscriptions.list_async({"status": "all"})
    of_clock = await shop.stripe.subscriptions.list_async({"test_clock": made.id})

    assert [one.id for one in everybody.data] == [elsewhere.id]
    assert [one.id for one in on_clock.data] == [subscription.customer]
    assert subscriptions.data == []
    assert [one.id for one in of_clock.data] == [subscription.id]


async def test_an_existing_customer_can_be_put_on_a_new_clock(shop: Shop) -> None:
    customer = await shop.stripe.customers.create_async({})

    made = await clock(shop, customer=customer.id)

    again = await shop.stripe.customers.retrieve_async(customer.id)
    assert again.test_clock == made.id
    with pytest.raises(stripe.InvalidRequestError, match="without test clock"):
        await clock(shop, customer=customer.id)


async def test_deleting_a_clock_deletes_its_customers(shop: Shop) -> None:
    made = await clock(shop)
    subscription = await subscription_on(shop, made)

    gone = await shop.stripe.test_helpers.test_clocks.delete_async(made.id)

    customer = await shop.stripe.customers.retrieve_async(str(subscription.customer))
    assert gone.deleted
    assert customer.deleted
    assert (await shop.subscription(subscription.id)).status == "canceled"
    assert (await shop.stripe.test_helpers.test_clocks.list_async()).data == []
    assert (await shop.event_types())[-1] == "test_helpers.test_clock.deleted"


@pytest.mark.parametrize(
    ("seconds", "message"),
    [(0, "later one"), (-1, "later one"), (63 * DAY, "2 intervals")],
)
async def test_a_clock_goes_forward_and_not_too_far(shop: Shop, seconds: int, message: str) -> None:
    made = await clock(shop)
    await subscription_on(shop, made)

    with pytest.raises(stripe.InvalidRequestError, match=message) as refused:
        await advance(shop, made, START + seconds)

    assert refused.value.param == "frozen_time"


async def test_a_clock_without_subscriptions_goes_two_years_at_once(shop: Shop) -> None:
    made = await clock(shop)

    await advance(shop, made, START + 730 * DAY)
    with pytest.raises(stripe.InvalidRequestError, match="two years"):
        await advance(shop, made, START + 730 * DAY + 732 * DAY)

    again = await shop.stripe.test_helpers.test_clocks.retrieve_async(made.id)
    assert again.frozen_time == START + 730 * DAY


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"frozen_time": -1}, "frozen_time"),
        ({"frozen_time": 2**40}, "frozen_time"),
        ({"name": "x" * 301}, "name"),
        ({"customer": "cus_none"}, "customer"),
    ],
)
async def test_impossible_clocks_are_refused(
    shop: Shop, params: dict[str, Any], param: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await clock(shop, **params)

    assert refused.value.param == param


async def test_a_clock_has_three_customers_at_most(shop: Shop) -> None:
    made = await clock(shop)
    for _ in range(3):
        await customer_on(shop, made)

    with pytest.raises(stripe.InvalidRequestError, match="at most 3"):
        await customer_on(shop, made)
    with pytest.raises(stripe.InvalidRequestError, match="No such test_clock"):
        await shop.stripe.customers.create_async({"test_clock": "clock_none"})
