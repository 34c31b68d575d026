"""Debits and authentication beyond the first payment, and every other test instrument."""

from typing import Any

import pytest
import stripe

from stripe_emulator import cards, debits
from tests.emulator.shop import DAY, GOOD, HOUR, Shop

SEPA_SLOW = "AT321904300235473204"
SEPA_FAILS = "AT861904300235473202"
SEPA_GOOD = "AT611904300234573201"
ASKS_ONCE = "4000002500003155"
ASKS_ALWAYS = "4000002760003184"


async def settings(shop: Shop, **changes: Any) -> None:
    await shop.control("/settings", changes, method="PUT")


async def buy(shop: Shop, currency: str = "eur", **form: Any) -> Any:
    """Buy through Checkout, and give the subscription."""
    session = await shop.session(await shop.price(currency=currency))
    outcome = await shop.control(
        f"/checkout/{session.id}/pay", {"email": "ada@example.com", **form}
    )
    assert outcome["outcome"] == "complete", outcome
    paid = await shop.stripe.checkout.sessions.retrieve_async(session.id)
    return await shop.subscription(str(paid.subscription))


async def put_on_file(shop: Shop, subscription: Any, **form: Any) -> Any:
    portal = await shop.portal(str(subscription.customer))
    return await shop.control(f"/portal/{portal}/payment_method", form)


async def until_renewal(shop: Shop, subscription: Any) -> None:
    """Let the draft hour of the next renewal pass."""
    again = await shop.subscription(subscription.id)
    end = again["items"].data[0].current_period_end
    await shop.advance(end - await shop.now() + HOUR)


async def latest(shop: Shop, subscription: Any) -> Any:
    again = await shop.subscription(subscription.id)
    return await shop.stripe.invoices.retrieve_async(
        str(again.latest_invoice), {"expand": ["payments.data.payment.payment_intent"]}
    )


@pytest.mark.parametrize(
    ("setting", "meanwhile", "status", "invoice_status"),
    [
        ("active", "active", "active", "void"),
        ("past_due", "active", "past_due", "open"),
        ("incomplete_expired", "incomplete", "incomplete_expired", "void"),
    ],
)
async def test_what_a_failed_first_debit_leaves_is_a_setting(
    shop: Shop, setting: str, meanwhile: str, status: str, invoice_status: str
) -> None:
    await settings(shop, after_failed_first_debit=setting, debit_settles_after_seconds=HOUR)
    subscription = await buy(shop, iban=SEPA_FAILS)

    await shop.advance(HOUR)

    invoice = await latest(shop, subscription)
    assert subscription.status == meanwhile
    assert (await shop.subscription(subscription.id)).status == status
    assert (invoice.status, invoice.attempt_count) == (invoice_status, 1)
    assert (invoice.next_payment_attempt is not None) == (setting == "past_due")


async def test_a_first_debit_that_succeeds_starts_what_waited_for_it(shop: Shop) -> None:
    await settings(
        shop, after_failed_first_debit="incomplete_expired", debit_settles_after_seconds=HOUR
    )
    subscription = await buy(shop, iban=SEPA_GOOD)

    await shop.advance(HOUR)

    assert subscription.status == "incomplete"
    assert (await shop.subscription(subscription.id)).status == "active"


async def test_a_renewal_by_debit_is_active_while_on_its_way(shop: Shop) -> None:
    await settings(shop, debit_settles_after_seconds=DAY)
    subscription = await buy(shop, iban=SEPA_GOOD)
    await shop.advance(DAY)

    await until_renewal(shop, subscription)
    on_its_way = await latest(shop, subscription)
    during = await shop.subscription(subscription.id)
    await shop.advance(DAY)
    arrived = await latest(shop, subscription)

    intent = on_its_way.payments.data[0].payment.payment_intent
    assert (during.status, on_its_way.status, intent.status) == ("active", "open", "processing")
    assert on_its_way.id == arrived.id
    assert (arrived.status, arrived.attempt_count) == ("paid", 1)


async def test_a_renewal_by_debit_that_fails_is_tried_again(shop: Shop) -> None:
    await settings(shop, debit_settles_after_seconds=HOUR)
    subscription = await buy(shop, iban=SEPA_SLOW)
    await shop.advance(HOUR)
    await put_on_file(shop, subscription, iban=SEPA_FAILS)

    await until_renewal(shop, subscription)
    during = await shop.subscription(subscription.id)
    await shop.advance(HOUR)
    behind = await shop.subscription(subscription.id)
    invoice = await latest(shop, subscription)
    await shop.advance(3 * DAY + HOUR)
    again = await latest(shop, subscription)

    assert (during.status, behind.status) == ("active", "past_due")
    assert (invoice.status, invoice.attempt_count) == ("open", 1)
    assert again.attempt_count == 2
    assert len(await shop.events(type="charge.failed")) == 2


async def test_an_invoice_whose_debit_is_on_its_way_is_not_charged_twice(shop: Shop) -> None:
    subscription = await buy(shop, iban=SEPA_SLOW)

    with pytest.raises(stripe.InvalidRequestError, match="still processing"):
        await shop.stripe.invoices.pay_async(
            str(subscription.latest_invoice), {"payment_method": "pm_card_visa"}
        )


async def test_canceling_meanwhile_stays_canceled_when_the_debit_arrives(shop: Shop) -> None:
    subscription = await buy(shop, iban=SEPA_SLOW)
    await shop.stripe.subscriptions.cancel_async(subscription.id)

    await shop.advance(HOUR)

    assert (await shop.subscription(subscription.id)).status == "canceled"
    assert (await latest(shop, subscription)).status == "paid"


async def test_a_mandate_that_ended_debits_no_more(shop: Shop) -> None:
    await settings(shop, after_failed_first_debit="past_due", debit_settles_after_seconds=HOUR)
    subscription = await buy(shop, "aud", bsb="000000", account_number="333333335")
    await shop.advance(HOUR)

    await shop.advance(3 * DAY)

    (updated,) = await shop.events(type="mandate.updated")
    mandate = await shop.stripe.mandates.retrieve_async(updated.data.object["id"])
    assert (mandate.status, mandate.type) == ("inactive", "multi_use")
    assert len(await shop.events(type="charge.pending")) == 1
    assert (await latest(shop, subscription)).attempt_count == 2


async def test_a_card_that_asked_once_renews_by_itself(shop: Shop) -> None:
    subscription = await buy(shop, "usd", number=ASKS_ONCE, authenticate=True)

    await until_renewal(shop, subscription)

    assert (await shop.subscription(subscription.id)).status == "active"
    assert (await latest(shop, subscription)).status == "paid"


async def test_a_card_that_always_asks_falls_behind_until_its_owner_answers(shop: Shop) -> None:
    subscription = await buy(shop, "usd", number=ASKS_ALWAYS, authenticate=True)

    await until_renewal(shop, subscription)
    behind = await shop.subscription(subscription.id)
    invoice = await latest(shop, subscription)
    intent = invoice.payments.data[0].payment.payment_intent
    types = await shop.event_types()
    outcome = await shop.control(f"/payment_intents/{intent.id}/authenticate", {"succeed": True})

    assert (behind.status, intent.status) == ("past_due", "requires_action")
    assert intent.last_payment_error.code == "authentication_required"
    wanted = [
        "charge.failed",
        "payment_intent.payment_failed",
        "payment_intent.requires_action",
        "invoice.payment_action_required",
        "invoice.payment_failed",
        "invoice.updated",
        "customer.subscription.updated",
    ]
    assert types[-len(wanted) :] == wanted
    assert outcome["outcome"] == "complete"
    assert (await shop.subscription(subscription.id)).status == "active"


async def test_authentication_that_fails_leaves_it_behind(shop: Shop) -> None:
    subscription = await buy(shop, "usd", number=ASKS_ALWAYS, authenticate=True)
    await until_renewal(shop, subscription)
    intent = (await latest(shop, subscription)).payments.data[0].payment.payment_intent

    outcome = await shop.control(f"/payment_intents/{intent.id}/authenticate", {"succeed": False})
    refused = await shop.control(
        f"/payment_intents/{intent.id}/authenticate", {"succeed": True}, status=400
    )

    assert outcome["code"] == "payment_intent_authentication_failure"
    assert (await shop.subscription(subscription.id)).status == "past_due"
    assert "waits for no authentication" in refused["error"]["message"]


async def test_retries_do_not_ask_a_bank_that_said_never(shop: Shop) -> None:
    subscription = await buy(shop, "usd", number=ASKS_ALWAYS, authenticate=True)
    await until_renewal(shop, subscription)

    await shop.advance(15 * DAY)

    assert (await shop.subscription(subscription.id)).status == "canceled"
    assert (await latest(shop, subscription)).attempt_count == 4
    assert len(await shop.events(type="charge.failed")) == 1


@pytest.mark.parametrize(("answer", "outcome"), [(True, "complete"), (False, "declined")])
async def test_the_portal_asks_the_bank_too(shop: Shop, answer: bool, outcome: str) -> None:  # noqa: FBT001
    subscription = await buy(shop, "usd", number=GOOD)

    asked = await put_on_file(shop, subscription, number=ASKS_ONCE)
    answered = await put_on_file(shop, subscription, number=ASKS_ONCE, authenticate=answer)

    again = await shop.subscription(subscription.id)
    assert asked["outcome"] == "requires_action"
    assert answered["outcome"] == outcome
    assert (again.default_payment_method != subscription.default_payment_method) == answer


async def test_a_payment_of_the_api_waits_for_authentication(shop: Shop) -> None:
    customer = await shop.stripe.customers.create_async(
        {
            "payment_method": "pm_card_authenticationRequired",
            "invoice_settings": {"default_payment_method": "pm_card_authenticationRequired"},
        }
    )
    price = await shop.price()

    subscription = await shop.stripe.subscriptions.create_async(
        {
            "customer": customer.id,
            "items": [{"price": price.id}],
            "expand": ["latest_invoice.payments"],
        }
    )
    invoice: Any = subscription.latest_invoice
    intent = invoice.payments.data[0].payment.payment_intent
    await shop.control(f"/payment_intents/{intent}/authenticate", {"succeed": True})

    assert subscription.status == "incomplete"
    assert "invoice.payment_action_required" in await shop.event_types()
    assert (await shop.subscription(subscription.id)).status == "active"


async def test_paying_an_invoice_that_needs_authentication_is_a_card_error(shop: Shop) -> None:
    subscription = await buy(shop, "usd", number=GOOD)
    await put_on_file(shop, subscription, number="4000000000000341")
    await until_renewal(shop, subscription)
    again = await shop.subscription(subscription.id)

    with pytest.raises(stripe.CardError) as refused:
        await shop.stripe.invoices.pay_async(
            str(again.latest_invoice), {"payment_method": "pm_card_authenticationRequired"}
        )

    assert refused.value.code == "invoice_payment_intent_requires_action"


async def test_a_card_can_be_declined_after_authentication(shop: Shop) -> None:
    session = await shop.session()

    outcome = await shop.pay(session.id, "4000008400001629", authenticate=True)

    assert (outcome["outcome"], outcome["decline_code"]) == ("declined", "generic_decline")
    again = await shop.stripe.checkout.sessions.retrieve_async(session.id)
    assert again.status == "open"


DECLINING = [card for card in cards.CARDS if card.attach_decline is not None]


@pytest.mark.parametrize("card", DECLINING, ids=[card.number for card in DECLINING])
async def test_each_declining_card_says_why(shop: Shop, card: Any) -> None:
    session = await shop.session()

    outcome = await shop.pay(session.id, card.number)

    intent = await shop.stripe.payment_intents.retrieve_async(outcome["payment_intent"])
    error = intent.last_payment_error
    assert (outcome["outcome"], outcome["code"]) == ("declined", card.charge_decline.code)
    assert (error.code, error.message) == (outcome["code"], outcome["message"])
    assert getattr(error, "decline_code", None) == card.charge_decline.decline_code


ACCOUNTS = [one for one in (*debits.IBANS, *debits.BECS_ACCOUNTS) if one.attach_decline is None]


@pytest.mark.parametrize("debit", ACCOUNTS, ids=[debit.number for debit in ACCOUNTS])
async def test_each_account_does_in_the_end_what_the_table_says(shop: Shop, debit: Any) -> None:
    sepa = debit.type == "sepa_debit"
    form = {"iban": debit.number} if sepa else {"bsb": "000000", "account_number": debit.number}
    subscription = await buy(shop, "eur" if sepa else "aud", **form)

    await shop.advance(180)

    invoice = await latest(shop, subscription)
    charge = (await shop.events(types=["charge.succeeded", "charge.failed"]))[-1].data.object
    expected = debit.charge_decline.code if debit.charge_decline else None
    assert charge["failure_code"] == expected
    assert charge["id"].startswith("py_")
    assert invoice.status == ("paid" if expected is None else "void")
    assert bool(await shop.events(type="mandate.updated")) == debit.ends_mandate


@pytest.mark.parametrize(
    ("iban", "code"),
    [
        ("AT271904300000055555", "sepa_debit_bank_not_supported"),
        ("AT511904300000066666", "sepa_debit_debits_not_supported"),
    ],
)
async def test_an_account_that_takes_no_debits_leaves_nothing(
    shop: Shop, iban: str, code: str
) -> None:
    session = await shop.session(await shop.price(currency="eur"))

    outcome = await shop.pay(session.id, None, iban=iban)

    assert (outcome["outcome"], outcome["code"]) == ("declined", code)
    assert (await shop.stripe.subscriptions.list_async({"status": "all"})).data == []


@pytest.mark.parametrize(
    ("params", "described"),
    [
        ({"type": "sepa_debit", "sepa_debit": {"iban": SEPA_SLOW}}, ("AT", "3204")),
        (
            {
                "type": "au_becs_debit",
                "au_becs_debit": {"bsb_number": "000000", "account_number": "900123456"},
            },
            ("000000", "3456"),
        ),
        (
            {
                "type": "card",
                "card": {"number": GOOD, "exp_month": 12, "exp_year": 2040, "cvc": "123"},
            },
            ("visa", "4242"),
        ),
        ({"type": "card", "card": {"token": "tok_visa"}}, ("visa", "4242")),
    ],
)
async def test_payment_methods_are_made_from_raw_numbers(
    shop: Shop, params: Any, described: tuple[str, str]
) -> None:
    made = await shop.stripe.payment_methods.create_async(params)

    details = made[params["type"]]
    field = {"card": "brand", "sepa_debit": "country", "au_becs_debit": "bsb_number"}
    assert (details[field[params["type"]]], details.last4) == described


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"type": "sepa_debit", "sepa_debit": {"iban": "AT00"}}, "sepa_debit[iban]"),
        ({"type": "sepa_debit"}, "sepa_debit"),
        (
            {
                "type": "au_becs_debit",
                "au_becs_debit": {"bsb_number": "1", "account_number": "900123456"},
            },
            "au_becs_debit[bsb_number]",
        ),
        ({"type": "card", "card": {"number": "4242"}}, "card[number]"),
        ({"type": "card", "card": {"token": "pm_sepaDebit_success"}}, "card[token]"),
    ],
)
async def test_impossible_payment_methods_are_refused(shop: Shop, params: Any, param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await shop.stripe.payment_methods.create_async(params)

    assert refused.value.param == param


@pytest.mark.parametrize(
    ("token", "currency", "status"),
    [
        ("pm_sepaDebit_success", "eur", "active"),
        ("pm_auBecsDebit_success", "aud", "active"),
        ("pm_sepaDebit_success", "usd", "incomplete"),
    ],
)
async def test_tokens_stand_for_accounts_and_pay_in_their_currency(
    shop: Shop, token: str, currency: str, status: str
) -> None:
    customer = await shop.stripe.customers.create_async({"payment_method": token})
    price = await shop.price(currency=currency)
    (method,) = (await shop.stripe.customers.payment_methods.list_async(customer.id)).data

    subscription = await shop.stripe.subscriptions.create_async(
        {
            "customer": customer.id,
            "items": [{"price": price.id}],
            "default_payment_method": method.id,
        }
    )

    assert subscription.status == status


@pytest.mark.parametrize(
    ("currency", "filters", "types"),
    [
        ("usd", {}, ["card"]),
        ("eur", {}, ["card", "sepa_debit"]),
        ("aud", {}, ["card", "au_becs_debit"]),
        ("eur", {"excluded_payment_method_types": ["card"]}, ["sepa_debit"]),
        ("eur", {"allowed_payment_method_types": ["card", "au_becs_debit"]}, ["card"]),
    ],
)
async def test_what_is_offered_follows_from_currency_and_filters(
    shop: Shop, currency: str, filters: Any, types: list[str]
) -> None:
    session = await shop.session(await shop.price(currency=currency), **filters)

    assert session.payment_method_types == types


@pytest.mark.parametrize(
    "changes",
    [
        {"after_failed_first_debit": "unpaid"},
        {"debit_settles_after_seconds": -1},
        {"debit_settles_after_seconds": True},
        {"debit_settles_after_seconds": 10**9},
    ],
)
async def test_impossible_settings_are_refused(shop: Shop, changes: Any) -> None:
    answer = await shop.control("/settings", changes, method="PUT", status=400)

    assert answer["error"]["param"] in changes


async def test_a_configuration_switches_payment_methods_off(shop: Shop) -> None:
    made = await shop.stripe.payment_method_configurations.create_async(
        {"name": "Cards only", "sepa_debit": {"display_preference": {"preference": "off"}}}
    )
    price = await shop.price(currency="eur")

    narrow = await shop.session(price, payment_method_configuration=made.id)
    wide = await shop.session(price)
    updated = await shop.stripe.payment_method_configurations.update_async(
        made.id, {"sepa_debit": {"display_preference": {"preference": "none"}}}
    )

    configurations = (await shop.stripe.payment_method_configurations.list_async()).data
    assert narrow.payment_method_types == ["card"]
    assert narrow.payment_method_configuration_details.id == made.id
    assert wide.payment_method_types == ["card", "sepa_debit"]
    assert updated.sepa_debit.display_preference.value == "on"
    assert [one.is_default for one in configurations] == [False, True]


async def test_a_configuration_of_what_is_not_offered_is_refused(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="does not support `klarna`"):
        await shop.stripe.payment_method_configurations.create_async(
            {"klarna": {"display_preference": {"preference": "on"}}}
        )
    with pytest.raises(stripe.InvalidRequestError, match="No such payment method configuration"):
        await shop.session(payment_method_configuration="pmc_none")
