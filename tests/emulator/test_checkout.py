from typing import Any

import pytest
import stripe

from tests.emulator.shop import DAY, DECLINED, FAILS_LATER, GOOD, HOUR, NO_FUNDS, Shop

SUCCESS = [
    "customer.created",
    "payment_method.attached",
    "invoice.created",
    "invoice.finalized",
    "payment_intent.created",
    "customer.subscription.created",
    "charge.succeeded",
    "payment_intent.succeeded",
    "invoice.updated",
    "invoice.paid",
    "invoice.payment_succeeded",
    "invoice_payment.paid",
    "customer.subscription.updated",
    "customer.updated",
    "checkout.session.completed",
    "entitlements.active_entitlement_summary.updated",
]


async def test_an_embedded_session_has_a_client_secret_and_no_url(shop: Shop) -> None:
    session = await shop.session()

    assert session.status == "open"
    assert session.client_secret.startswith(f"{session.id}_secret_")
    assert session.url is None


async def test_a_hosted_session_has_a_url_and_no_client_secret(shop: Shop) -> None:
    price = await shop.price()

    session = await shop.stripe.checkout.sessions.create_async(
        {
            "mode": "subscription",
            "success_url": "https://example.com/thanks",
            "line_items": [{"price": price.id, "quantity": 2}],
        }
    )

    assert session.ui_mode == "hosted_page"
    assert session.url is not None
    assert session.url.startswith(shop.url)
    assert session.client_secret is None
    assert session.amount_total == 2000


async def test_a_good_card_completes_the_session_and_activates_the_subscription(
    shop: Shop,
) -> None:
    price = await shop.price(await shop.product("reports"))
    session = await shop.session(
        price,
        client_reference_id="account-1",
        subscription_data={"metadata": {"account_id": "account-1"}},
    )

    outcome = await shop.pay(session.id)

    paid = await shop.stripe.checkout.sessions.retrieve_async(
        session.id, {"expand": ["subscription.latest_invoice.payments"]}
    )
    subscription: Any = paid.subscription
    assert (outcome["outcome"], outcome["code"], outcome["message"]) == ("complete", None, None)
    assert (paid.status, paid.payment_status) == ("complete", "paid")
    assert paid.client_reference_id == "account-1"
    assert paid.customer_details.email == "ada@example.com"
    assert subscription.status == "active"
    assert subscription.metadata.account_id == "account-1"
    assert subscription.latest_invoice.status == "paid"
    assert subscription.latest_invoice.parent.subscription_details.metadata.account_id == (
        "account-1"
    )
    assert subscription.latest_invoice.payments.data[0].status == "paid"
    assert subscription.default_payment_method is not None


async def test_a_good_card_emits_the_documented_stream(shop: Shop) -> None:
    price = await shop.price(await shop.product("reports"))
    session = await shop.session(price)
    before = len(await shop.events())

    await shop.pay(session.id)

    events = (await shop.events())[before:]
    created = next(event for event in events if event.type == "customer.subscription.created")
    updated = next(event for event in events if event.type == "customer.subscription.updated")
    assert [event.type for event in events] == SUCCESS
    assert created.data.object["status"] == "incomplete"
    assert updated.data.previous_attributes["status"] == "incomplete"
    assert updated.data.object["status"] == "active"


@pytest.mark.parametrize(
    ("number", "decline_code"),
    [
        (NO_FUNDS, "insufficient_funds"),
        (DECLINED, "generic_decline"),
        (FAILS_LATER, "generic_decline"),
        ("4000 0000 0000 9987", "lost_card"),
    ],
)
async def test_a_bad_card_leaves_the_session_open(
    shop: Shop, number: str, decline_code: str
) -> None:
    session = await shop.session()

    outcome = await shop.pay(session.id, number)

    again = await shop.stripe.checkout.sessions.retrieve_async(session.id)
    (subscription,) = (await shop.stripe.subscriptions.list_async({"status": "all"})).data
    assert (outcome["outcome"], outcome["code"]) == ("declined", "card_declined")
    assert outcome["decline_code"] == decline_code
    assert (again.status, again.payment_status) == ("open", "unpaid")
    assert again.subscription is None
    assert subscription.status == "incomplete"
    assert "payment_method.attached" not in await shop.event_types()


async def test_a_second_try_pays_the_same_subscription_and_intent(shop: Shop) -> None:
    session = await shop.session()
    await shop.pay(session.id, NO_FUNDS)

    outcome = await shop.pay(session.id, GOOD)

    (subscription,) = (await shop.stripe.subscriptions.list_async({"status": "all"})).data
    types = await shop.event_types()
    assert outcome["outcome"] == "complete"
    assert subscription.status == "active"
    assert types.count("customer.subscription.created") == 1
    assert types.count("payment_intent.created") == 1
    assert types.count("customer.created") == 1
    assert types.index("invoice.payment_failed") < types.index("charge.succeeded")


@pytest.mark.parametrize("cause", ["the merchant", "time"])
async def test_expiry_ends_the_subscription_that_a_decline_left(shop: Shop, cause: str) -> None:
    session = await shop.session(expires_at=await shop.now() + HOUR)
    await shop.pay(session.id, NO_FUNDS)

    if cause == "the merchant":
        await shop.stripe.checkout.sessions.expire_async(session.id)
    else:
        await shop.advance(2 * HOUR)

    again = await shop.stripe.checkout.sessions.retrieve_async(session.id)
    (subscription,) = (await shop.stripe.subscriptions.list_async({"status": "all"})).data
    invoice = await shop.stripe.invoices.retrieve_async(str(subscription.latest_invoice))
    types = await shop.event_types()
    assert again.status == "expired"
    assert subscription.status == "incomplete_expired"
    assert invoice.status == "void"
    assert types.index("checkout.session.expired") < types.index("invoice.voided")


async def test_a_session_expires_after_a_day(shop: Shop) -> None:
    session = await shop.session()

    await shop.advance(DAY - 60)
    before = await shop.stripe.checkout.sessions.retrieve_async(session.id)
    await shop.advance(60)
    after = await shop.stripe.checkout.sessions.retrieve_async(session.id)

    (event,) = await shop.events(type="checkout.session.expired")
    assert (before.status, after.status) == ("open", "expired")
    assert event.created == session.expires_at


async def test_an_unpaid_subscription_expires_after_23_hours_and_the_session_starts_another(
    shop: Shop,
) -> None:
    session = await shop.session()
    await shop.pay(session.id, NO_FUNDS)

    await shop.advance(23 * HOUR)
    await shop.pay(session.id, GOOD)

    subscriptions = (await shop.stripe.subscriptions.list_async({"status": "all"})).data
    assert [one.status for one in subscriptions] == ["active", "incomplete_expired"]


@pytest.mark.parametrize("finish", ["pay", "expire"])
async def test_a_finished_session_cannot_be_paid(shop: Shop, finish: str) -> None:
    session = await shop.session()
    if finish == "pay":
        await shop.pay(session.id)
    else:
        await shop.stripe.checkout.sessions.expire_async(session.id)

    answer = await shop.control(
        f"/checkout/{session.id}/pay", {"email": "a@example.com", "number": GOOD}, status=400
    )

    assert "only an open one can be paid" in answer["error"]["message"]


@pytest.mark.parametrize(
    "answers",
    [
        {"email": "a@example.com"},
        {"email": "a@example.com", "number": "4111111111111111"},
        {"email": "a@example.com", "number": 4242424242424242},
        {"number": GOOD},
        [],
    ],
)
async def test_a_form_filled_in_badly_is_refused(shop: Shop, answers: Any) -> None:
    session = await shop.session()

    answer = await shop.control(f"/checkout/{session.id}/pay", answers, status=400)

    assert answer["error"]["type"] == "invalid_request_error"


async def test_a_trial_needs_a_card_and_charges_nothing(shop: Shop) -> None:
    session = await shop.session(subscription_data={"trial_period_days": 7})

    refused = await shop.pay(session.id, NO_FUNDS)
    accepted = await shop.pay(session.id, GOOD)

    paid = await shop.stripe.checkout.sessions.retrieve_async(
        session.id, {"expand": ["subscription", "invoice"]}
    )
    subscription: Any = paid.subscription
    types = await shop.event_types()
    assert (refused["outcome"], accepted["outcome"]) == ("declined", "complete")
    assert paid.payment_status == "no_payment_required"
    assert paid.invoice.amount_due == 0
    assert subscription.status == "trialing"
    assert subscription.trial_end == subscription["items"].data[0].current_period_end
    assert "setup_intent.succeeded" in types
    assert not [name for name in types if name.startswith(("charge", "payment_intent"))]


async def test_one_time_items_are_billed_once_beside_a_subscription(shop: Shop) -> None:
    product = await shop.product()
    monthly = await shop.price(product)
    once = await shop.stripe.prices.create_async(
        {"product": product.id, "currency": "usd", "unit_amount": 500}
    )

    subscription = await shop.subscribe(
        monthly,
        line_items=[{"price": monthly.id, "quantity": 1}, {"price": once.id, "quantity": 2}],
    )

    invoice = await shop.stripe.invoices.retrieve_async(subscription.latest_invoice)
    assert [item.price.id for item in subscription["items"].data] == [monthly.id]
    assert invoice.total == 2000


async def test_an_existing_customer_keeps_id_and_address(shop: Shop) -> None:
    customer = await shop.stripe.customers.create_async({"email": "known@example.com"})

    subscription = await shop.subscribe(customer=customer.id)

    (session,) = (await shop.stripe.checkout.sessions.list_async({"customer": customer.id})).data
    assert subscription.customer == customer.id
    assert session.customer_details.email == "known@example.com"


async def test_line_items_are_listed_with_their_prices(shop: Shop) -> None:
    price = await shop.price()
    session = await shop.session(price)

    items = await shop.stripe.checkout.sessions.line_items.list_async(session.id)
    expanded = await shop.stripe.checkout.sessions.retrieve_async(
        session.id, {"expand": ["line_items.data.price.product"]}
    )

    assert [item.price.id for item in items] == [price.id]
    assert expanded.line_items.data[0].price.product.name == "Pro"
    assert "line_items" not in session


@pytest.mark.parametrize(
    ("params", "param", "code"),
    [
        ({"payment_method_types": ["card"]}, "payment_method_types", "parameter_unknown"),
        ({"ui_mode": "embedded"}, "ui_mode", None),
        ({"line_items": []}, "line_items", "parameter_missing"),
        ({"line_items": [{"price": "price_none"}]}, "line_items[0][price]", "resource_missing"),
        ({"line_items": [{"quantity": 1}]}, "line_items[0][price]", "parameter_missing"),
        ({"success_url": "https://example.com"}, "success_url", None),
        ({"return_url": "javascript:alert(1)"}, "return_url", "url_invalid"),
        ({"redirect_on_completion": "never"}, "return_url", None),
        ({"customer": "cus_none"}, "customer", "resource_missing"),
        ({"customer": "cus_none", "customer_email": "a@example.com"}, "customer", None),
        ({"expires_at": 1}, "expires_at", None),
        ({"expires_at": 2**40}, "expires_at", None),
        ({"client_reference_id": "x" * 201}, "client_reference_id", None),
        (
            {"custom_text": {"submit": {"message": "x" * 1201}}},
            "custom_text[submit][message]",
            None,
        ),
        ({"mode": "payment"}, "line_items", None),
        ({"mode": "setup"}, "mode=setup", None),
        (
            {"subscription_data": {"trial_period_days": 0}},
            "subscription_data[trial_period_days]",
            None,
        ),
        ({"subscription_data": {"trial_end": 2**33}}, "subscription_data[trial_end]", None),
        ({"payment_intent_data": {"description": "x"}}, "payment_intent_data", None),
        ({"metadata": {"x": "y" * 501}}, "metadata[x]", None),
    ],
)
async def test_impossible_sessions_are_refused(
    shop: Shop, params: dict[str, Any], param: str, code: str | None
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await shop.session(**params)

    assert refused.value.http_status == 400
    assert (refused.value.param, refused.value.code) == (param, code)


async def test_only_one_time_prices_do_not_make_a_subscription(shop: Shop) -> None:
    product = await shop.product()
    once = await shop.stripe.prices.create_async(
        {"product": product.id, "currency": "usd", "unit_amount": 500}
    )

    with pytest.raises(stripe.InvalidRequestError, match="at least one recurring") as refused:
        await shop.session(once)

    assert refused.value.param == "line_items"


async def test_a_price_can_be_described_in_place(shop: Shop) -> None:
    product = await shop.product()
    price_data = {
        "product": product.id,
        "currency": "eur",
        "unit_amount": 700,
        "recurring": {"interval": "year"},
    }

    session = await shop.session(line_items=[{"price_data": price_data, "quantity": 1}])

    assert (session.currency, session.amount_total) == ("eur", 700)
