"""`mode=payment`, and the two calls with which Stripe's command line fills in a form."""

from typing import Any

import pytest
import stripe

from tests.emulator.shop import GOOD, NO_FUNDS, Shop

NEEDS_AUTHENTICATION = "4000002760003184"


async def _once(shop: Shop, **params: Any) -> Any:
    product = await shop.product()
    price = await shop.stripe.prices.create_async(
        {"product": product.id, "currency": "usd", "unit_amount": 1500}
    )
    return await shop.session(price, mode="payment", **params)


async def _confirm(shop: Shop, session: Any, token: str, **form: str) -> tuple[int, Any]:
    card = await shop.stripe.payment_methods.create_async(
        {"type": "card", "card": {"token": token}, "billing_details": {"email": "ada@example.com"}}
    )
    path = f"/v1/payment_pages/{session.id}/confirm"
    answer = await shop.raw("POST", path, data={"payment_method": card.id, **form})
    return answer.status, await answer.json()


async def test_something_is_sold_once(shop: Shop) -> None:
    session = await _once(shop, payment_intent_data={"description": "A book"})

    outcome = await shop.pay(session.id, GOOD)

    paid = await shop.stripe.checkout.sessions.retrieve_async(
        session.id, {"expand": ["payment_intent.latest_charge"]}
    )
    assert outcome["outcome"] == "complete"
    assert (paid.status, paid.payment_status, paid.subscription) == ("complete", "paid", None)
    assert paid.payment_intent.status == "succeeded"
    assert paid.payment_intent.description == "A book"
    assert paid.payment_intent.latest_charge.amount == 1500
    assert paid.customer_details.email == "ada@example.com"
    assert (await shop.event_types())[-1] == "checkout.session.completed"


async def test_after_a_decline_another_card_pays_the_same(shop: Shop) -> None:
    session = await _once(shop)

    declined = await shop.pay(session.id, NO_FUNDS)
    between = await shop.stripe.checkout.sessions.retrieve_async(session.id)
    paid = await shop.pay(session.id, GOOD)

    assert (declined["outcome"], declined["decline_code"]) == ("declined", "insufficient_funds")
    assert between.status == "open"
    assert paid["outcome"] == "complete"
    assert (await shop.event_types()).count("payment_intent.created") == 1


async def test_what_would_ask_the_bank_is_refused_by_name(shop: Shop) -> None:
    session = await _once(shop)
    body = {"email": "ada@example.com", "number": NEEDS_AUTHENTICATION}

    answer = await shop.control(f"/checkout/{session.id}/pay", body, status=400)

    assert "mode=payment" in answer["error"]["message"]


@pytest.mark.parametrize("mode", ["payment", "subscription"])
async def test_the_command_lines_way_fills_in_the_form(shop: Shop, mode: str) -> None:
    session = await (_once(shop) if mode == "payment" else shop.session())
    shown = await shop.raw("GET", f"/v1/payment_pages/{session.id}")

    wrong, refused = await _confirm(shop, session, "tok_visa", expected_amount="1")
    right, answer = await _confirm(
        shop, session, "tok_visa", expected_amount=str(session.amount_total)
    )

    assert shown.status == 200
    assert (wrong, refused["error"]["param"]) == (400, "expected_amount")
    assert (right, answer["status"], answer["payment_status"]) == (200, "complete", "paid")
    assert bool(answer["subscription"]) is (mode == "subscription")


async def test_a_declined_confirmation_is_a_card_error(shop: Shop) -> None:
    session = await _once(shop)

    status, answer = await _confirm(shop, session, "tok_chargeCustomerFail")

    assert (status, answer["error"]["type"]) == (402, "card_error")


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"subscription_data": {"trial_period_days": 5}}, "subscription_data"),
        ({"payment_intent_data": {"on_behalf_of": "acct_x"}}, "on_behalf_of"),
        ({"invoice_creation": {"enabled": True}}, "invoice_creation"),
    ],
)
async def test_what_is_not_followed_is_refused(
    shop: Shop, params: dict[str, Any], named: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError, match=named):
        await _once(shop, **params)
