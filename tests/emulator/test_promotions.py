"""Coupons and promotion codes, from their making to the last invoice that they are taken off."""

from typing import Any

import pytest
import stripe

from tests.emulator.shop import DAY, GOOD, HOUR, NO_FUNDS, Shop


async def coupon(shop: Shop, **params: Any) -> Any:
    params = params or {"percent_off": 25}
    return await shop.stripe.coupons.create_async(params)


async def code(shop: Shop, made: Any, text: str = "SPRING25", **params: Any) -> Any:
    return await shop.stripe.promotion_codes.create_async(
        {"promotion": {"type": "coupon", "coupon": made.id}, "code": text, **params}
    )


async def invoices(shop: Shop, subscription_id: str) -> list[Any]:
    page = await shop.stripe.invoices.list_async({"subscription": subscription_id})
    return page.data[::-1]


async def test_a_code_lowers_what_a_form_asks_for_and_what_is_paid(shop: Shop) -> None:
    made = await code(shop, await coupon(shop))
    session = await shop.session(allow_promotion_codes=True)

    shown = await shop.control(f"/checkout/{session.id}/promotion_code", {"code": "spring25"})
    outcome = await shop.pay(session.id, GOOD)

    assert (shown["amount_subtotal"], shown["amount_discount"], shown["amount_total"]) == (
        1000,
        250,
        750,
    )
    assert outcome["outcome"] == "complete"
    paid = await shop.stripe.checkout.sessions.retrieve_async(
        session.id, {"expand": ["invoice", "subscription.discounts", "line_items"]}
    )
    assert (paid.amount_total, paid.total_details.amount_discount) == (750, 250)
    assert paid.discounts[0].promotion_code == made.id
    assert paid.line_items.data[0].amount_discount == 250
    assert (paid.invoice.subtotal, paid.invoice.total, paid.invoice.amount_paid) == (1000, 750, 750)
    again = await shop.stripe.promotion_codes.retrieve_async(made.id)
    assert again.times_redeemed == 1
    assert "customer.discount.created" in await shop.event_types()


async def test_a_code_can_be_typed_with_the_payment(shop: Shop) -> None:
    await code(shop, await coupon(shop, amount_off=300, currency="usd"))
    session = await shop.session(allow_promotion_codes=True)

    await shop.pay(session.id, GOOD, promotion_code="SPRING25")

    paid = await shop.stripe.checkout.sessions.retrieve_async(session.id)
    assert (paid.status, paid.amount_total) == ("complete", 700)


async def test_a_code_can_be_taken_back(shop: Shop) -> None:
    await code(shop, await coupon(shop))
    session = await shop.session(allow_promotion_codes=True)
    await shop.control(f"/checkout/{session.id}/promotion_code", {"code": "SPRING25"})

    shown = await shop.control(f"/checkout/{session.id}/promotion_code", {"code": None})

    assert (shown["amount_discount"], shown["amount_total"]) == (0, 1000)


async def test_a_code_after_a_decline_replaces_the_invoice_that_was_declined(shop: Shop) -> None:
    await code(shop, await coupon(shop))
    session = await shop.session(allow_promotion_codes=True)
    await shop.pay(session.id, NO_FUNDS)

    await shop.pay(session.id, GOOD, promotion_code="SPRING25")

    paid = await shop.stripe.checkout.sessions.retrieve_async(session.id, {"expand": ["invoice"]})
    assert (paid.status, paid.invoice.amount_paid) == ("complete", 750)


@pytest.mark.parametrize(
    ("terms", "totals"),
    [
        ({"duration": "once"}, [500, 1000, 1000, 1000]),
        ({"duration": "forever"}, [500, 500, 500, 500]),
        ({"duration": "repeating", "duration_in_months": 2}, [500, 500, 1000, 1000]),
    ],
)
async def test_a_coupon_is_taken_off_for_as_long_as_it_says(
    shop: Shop, terms: dict[str, Any], totals: list[int]
) -> None:
    half = await coupon(shop, percent_off=50, **terms)
    subscription = await shop.subscribe(discounts=[{"coupon": half.id}])

    await shop.advance(95 * DAY)

    assert [one.total for one in await invoices(shop, subscription.id)] == totals


async def test_a_coupon_for_once_waits_for_the_end_of_a_trial(shop: Shop) -> None:
    half = await coupon(shop, percent_off=50)

    subscription = await shop.subscribe(
        discounts=[{"coupon": half.id}], subscription_data={"trial_period_days": 7}
    )
    await shop.advance(7 * DAY + HOUR)

    assert [one.total for one in await invoices(shop, subscription.id)] == [0, 500]
    assert (await shop.subscription(subscription.id)).discounts == []


async def test_all_off_asks_for_a_card_and_charges_nothing(shop: Shop) -> None:
    free = await coupon(shop, percent_off=100, duration="forever")
    session = await shop.session(discounts=[{"coupon": free.id}])

    await shop.pay(session.id, GOOD)

    paid = await shop.stripe.checkout.sessions.retrieve_async(
        session.id, {"expand": ["subscription"]}
    )
    assert (paid.amount_total, paid.payment_status) == (0, "no_payment_required")
    assert paid.subscription.status == "active"


async def test_a_fixed_sum_is_spread_and_never_more_than_there_is(shop: Shop) -> None:
    product = await shop.product()
    first, second = await shop.price(product, 100), await shop.price(product, 201)
    items = [{"price": one.id, "quantity": 1} for one in (first, second)]
    made = await coupon(shop, amount_off=100, currency="usd")
    much = await coupon(shop, amount_off=9999, currency="usd")

    some = await shop.session(first, line_items=items, discounts=[{"coupon": made.id}])
    everything = await shop.session(first, line_items=items, discounts=[{"coupon": much.id}])

    lines = await shop.stripe.checkout.sessions.line_items.list_async(some.id)
    assert [line.amount_discount for line in lines.data] == [33, 67]
    assert (some.amount_total, everything.amount_total) == (201, 0)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"active": False}, "invalid"),
        ({"max_redemptions": 1}, "used up"),
        ({"restrictions": {"minimum_amount": 1001, "minimum_amount_currency": "usd"}}, "larger"),
        ({"customer": "other"}, "somebody else"),
        ({"expires_at": 1}, "expired"),
        (None, "invalid"),
    ],
)
async def test_a_code_that_cannot_be_redeemed_says_why(
    shop: Shop, params: dict[str, Any] | None, message: str
) -> None:
    made = await coupon(shop)
    if params is not None:
        if "customer" in params:
            params = {"customer": (await shop.stripe.customers.create_async()).id}
        await code(shop, made, **params)
    if params == {"max_redemptions": 1}:
        first = await shop.session(allow_promotion_codes=True)
        await shop.pay(first.id, GOOD, promotion_code="SPRING25")
    session = await shop.session(allow_promotion_codes=True)

    refused = await shop.control(
        f"/checkout/{session.id}/promotion_code", {"code": "SPRING25"}, status=400
    )

    assert message in refused["error"]["message"]
    assert refused["error"]["param"] == "promotion_code"


async def test_a_session_that_takes_no_codes_refuses_them(shop: Shop) -> None:
    await code(shop, await coupon(shop))
    session = await shop.session()

    refused = await shop.control(
        f"/checkout/{session.id}/promotion_code", {"code": "SPRING25"}, status=400
    )

    assert "takes no promotion codes" in refused["error"]["message"]


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"name": "no amount"}, "percent_off"),
        ({"percent_off": 10, "amount_off": 10}, "percent_off"),
        ({"percent_off": 101}, "percent_off"),
        ({"percent_off": 0}, "percent_off"),
        ({"amount_off": 10}, "currency"),
        ({"amount_off": 0, "currency": "usd"}, "amount_off"),
        ({"percent_off": 10, "duration": "repeating"}, "duration_in_months"),
        ({"percent_off": 10, "duration_in_months": 3}, "duration_in_months"),
        (
            {"percent_off": 10, "duration": "repeating", "duration_in_months": 37},
            "duration_in_months",
        ),
        ({"percent_off": 10, "name": "x" * 41}, "name"),
        ({"percent_off": 10, "applies_to": {"products": ["prod_x"]}}, "applies_to"),
    ],
)
async def test_impossible_coupons_are_refused(
    shop: Shop, params: dict[str, Any], param: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await coupon(shop, **params)

    assert refused.value.param == param


async def test_codes_are_found_by_what_customers_type_and_are_unique(shop: Shop) -> None:
    made = await coupon(shop, percent_off=10, id="ten-off")
    promotion = await code(shop, made)

    with pytest.raises(stripe.InvalidRequestError, match="already exists"):
        await code(shop, made, "spring25")
    with pytest.raises(stripe.InvalidRequestError, match="already exists"):
        await coupon(shop, percent_off=10, id="ten-off")
    found = await shop.stripe.promotion_codes.list_async({"code": "SPRING25", "active": True})

    assert [one.id for one in found.data] == [promotion.id]
    assert found.data[0].promotion.coupon == "ten-off"
    switched_off = await shop.stripe.promotion_codes.update_async(promotion.id, {"active": False})
    assert not switched_off.active


async def test_a_deleted_coupon_stays_with_those_who_have_it(shop: Shop) -> None:
    half = await coupon(shop, percent_off=50, duration="forever")
    subscription = await shop.subscribe(discounts=[{"coupon": half.id}])

    await shop.stripe.coupons.delete_async(half.id)
    await shop.advance(32 * DAY)

    assert [one.total for one in await invoices(shop, subscription.id)] == [500, 500]
    with pytest.raises(stripe.InvalidRequestError, match="No such coupon"):
        await shop.session(discounts=[{"coupon": half.id}])


async def test_a_session_takes_one_discount_or_codes(shop: Shop) -> None:
    half = await coupon(shop, percent_off=50)

    with pytest.raises(stripe.InvalidRequestError, match="allow_promotion_codes, discounts"):
        await shop.session(discounts=[{"coupon": half.id}], allow_promotion_codes=True)
    with pytest.raises(stripe.InvalidRequestError, match="up to one"):
        await shop.session(discounts=[{"coupon": half.id}] * 2)
