"""What a page is told about a Checkout Session that it is to show."""

from typing import Any

import pytest

from tests.emulator.shop import GOOD, Shop


async def form(shop: Shop, session_id: str) -> Any:
    return await shop.control(f"/checkout/{session_id}/form", method="GET")


async def test_a_form_shows_what_is_sold_and_asks_for_what_is_missing(shop: Shop) -> None:
    price = await shop.price(await shop.product(name="Premium"), 1500, currency="eur")
    session = await shop.session(
        price,
        line_items=[{"price": price.id, "quantity": 2}],
        custom_text={"submit": {"message": "Cancel whenever you like."}},
        locale="fr",
    )

    shown = await form(shop, session.id)

    (item,) = shown["line_items"]
    assert (item["name"], item["quantity"], item["amount"]) == ("Premium", 2, 3000)
    assert (item["interval"], item["interval_count"]) == ("month", 1)
    assert (shown["currency"], shown["amount_total"], shown["locale"]) == ("eur", 3000, "fr")
    assert shown["payment_method_types"] == ["card", "sepa_debit"]
    assert shown["custom_text"]["submit"] == "Cancel whenever you like."
    assert (shown["status"], shown["asks_for_email"], shown["asks_for_payment"]) == (
        "open",
        True,
        True,
    )
    assert shown["return_url"] == f"https://example.com/?session_id={session.id}"
    assert session.client_secret not in str(shown)


async def test_a_form_for_a_known_customer_fixes_the_address(shop: Shop) -> None:
    customer = await shop.stripe.customers.create_async({"email": "known@example.com"})
    session = await shop.session(
        customer=customer.id,
        payment_method_collection="if_required",
        subscription_data={"trial_period_days": 7},
    )

    shown = await form(shop, session.id)

    assert (shown["email"], shown["asks_for_email"]) == ("known@example.com", False)
    assert (shown["asks_for_payment"], shown["amount_total"]) == (False, 0)
    assert shown["trial_period_days"] == 7
    assert shown["trial_end"] >= session.created + 7 * 24 * 60 * 60


async def test_a_form_tells_that_its_session_is_over(shop: Shop) -> None:
    session = await shop.session()
    await shop.pay(session.id, GOOD)

    shown = await form(shop, session.id)

    assert (shown["status"], shown["payment_status"]) == ("complete", "paid")


@pytest.mark.parametrize(
    ("answers", "param", "code"),
    [
        ({"number": "4242424242424241"}, "number", "incorrect_number"),
        ({"number": "4111111111111111"}, "number", None),
        ({"number": GOOD, "iban": "AT321904300235473204"}, None, None),
        ({"iban": "AT321904300235473205"}, "iban", "invalid_iban"),
        ({"iban": "DE89370400440532013000"}, "iban", None),
        ({"iban": "x"}, "iban", "invalid_iban"),
        ({"iban": "AT321904300235473204"}, "payment_method_type", None),
        ({"bsb": "000000"}, "account_number", None),
        ({"account_number": "900123456"}, "bsb", None),
        ({"bsb": "00000", "account_number": "900123456"}, "bsb", "invalid_bsb_number"),
        ({"bsb": "000000", "account_number": "9"}, "account_number", "account_number_invalid"),
        ({"bsb": "062000", "account_number": "900123456"}, "account_number", None),
        ({"number": GOOD, "authenticate": "yes"}, "authenticate", None),
        ({"number": GOOD, "name": "x" * 501}, "name", None),
        ({"number": GOOD, "name": 5}, "name", None),
        ({"number": "\u0664242424242424242"}, "number", "incorrect_number"),
    ],
)
async def test_what_cannot_be_typed_is_refused_by_name(
    shop: Shop, answers: dict[str, Any], param: str | None, code: str | None
) -> None:
    session = await shop.session()

    refused = await shop.control(
        f"/checkout/{session.id}/pay", {"email": "ada@example.com", **answers}, status=400
    )

    assert refused["error"]["type"] == "invalid_request_error"
    assert (refused["error"].get("param"), refused["error"].get("code")) == (param, code)
    assert (await form(shop, session.id))["status"] == "open"
