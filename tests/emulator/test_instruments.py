"""Every row of the test table in Stripe's guide to subscriptions, and the instruments beside it."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.emulator.shop import DAY, GOOD, HOUR, NO_FUNDS, Shop

NEEDS_AUTHENTICATION_ONCE = "4000002500003155"
ALWAYS_NEEDS_AUTHENTICATION = "4000002760003184"
THREE_MINUTES = 180

CREATED = [
    "customer.created",
    "payment_method.attached",
    "invoice.created",
    "invoice.finalized",
    "payment_intent.created",
    "customer.subscription.created",
]
CREATED_UNATTACHED = [name for name in CREATED if name != "payment_method.attached"]
PAID = [
    "charge.succeeded",
    "payment_intent.succeeded",
    "invoice.updated",
    "invoice.paid",
    "invoice.payment_succeeded",
    "invoice_payment.paid",
]
COMPLETED = ["customer.subscription.updated", "customer.updated", "checkout.session.completed"]
ASKED = ["payment_intent.requires_action", "invoice.updated", "invoice.payment_action_required"]
ON_ITS_WAY = ["payment_intent.processing", "charge.pending", "invoice.updated"]
FAILED_LATER = [
    "charge.failed",
    "payment_intent.payment_failed",
    "invoice.payment_failed",
    "invoice.voided",
    "checkout.session.async_payment_failed",
]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of the guide: what is typed, and what has to come of it."""

    currency: str = "usd"
    form: dict[str, Any]
    outcome: str = "complete"
    code: str | None = None
    decline_code: str | None = None
    #: Session, payment, subscription, invoice and intent right after the form.
    state: tuple[str, str, str, str, str]
    events: list[str]
    #: The same later, where that changes anything.
    later: tuple[str, str, str, str, str] | None = None
    later_events: list[str] | None = None


PROCESSING = ("complete", "unpaid", "active", "open", "processing")
SETTLED = ("complete", "paid", "active", "paid", "succeeded")
BOUNCED = ("complete", "unpaid", "active", "void", "requires_payment_method")

PAID_LATER = [*PAID, "checkout.session.async_payment_succeeded"]
ROWS = {
    "BECS succeeds after three minutes": Row(
        currency="aud",
        form={"bsb": "000000", "account_number": "900123456"},
        state=PROCESSING,
        events=[*CREATED, *ON_ITS_WAY, *COMPLETED],
        later=SETTLED,
    ),
    "BECS fails with account_closed": Row(
        currency="aud",
        form={"bsb": "000-000", "account_number": "111111113"},
        state=PROCESSING,
        events=[*CREATED, *ON_ITS_WAY, *COMPLETED],
        later=BOUNCED,
        later_events=[*FAILED_LATER[:2], "mandate.updated", *FAILED_LATER[2:]],
    ),
    "a card pays without authentication": Row(
        form={"number": GOOD}, state=SETTLED, events=[*CREATED, *PAID, *COMPLETED]
    ),
    "a card pays after authentication": Row(
        form={"number": NEEDS_AUTHENTICATION_ONCE, "authenticate": True},
        state=SETTLED,
        events=[*CREATED_UNATTACHED, *ASKED, "payment_method.attached", *PAID, *COMPLETED],
    ),
    "a card is declined": Row(
        form={"number": NO_FUNDS},
        outcome="declined",
        code="card_declined",
        decline_code="insufficient_funds",
        state=("open", "unpaid", "incomplete", "open", "requires_payment_method"),
        events=[
            *CREATED_UNATTACHED,
            "charge.failed",
            "payment_intent.payment_failed",
            "invoice.payment_failed",
            "invoice.updated",
        ],
    ),
    "SEPA succeeds after three minutes": Row(
        currency="eur",
        form={"iban": "AT32 1904 3002 3547 3204"},
        state=PROCESSING,
        events=[*CREATED, *ON_ITS_WAY, *COMPLETED],
        later=SETTLED,
    ),
    "SEPA fails": Row(
        currency="eur",
        form={"iban": "AT861904300235473202"},
        state=PROCESSING,
        events=[*CREATED, *ON_ITS_WAY, *COMPLETED],
        later=BOUNCED,
        later_events=FAILED_LATER,
    ),
}


async def session_in(shop: Shop, currency: str, **params: Any) -> Any:
    # Entitlements would follow a moment later, and are not what the table is about.
    return await shop.session(await shop.price(currency=currency), **params)


async def fill_in(shop: Shop, session_id: str, **form: Any) -> Any:
    body = {"email": "ada@example.com", "name": "Ada Lovelace", **form}
    return await shop.control(f"/checkout/{session_id}/pay", body)


async def state_of(shop: Shop, session_id: str) -> tuple[str, str, str, str, str]:
    session = await shop.stripe.checkout.sessions.retrieve_async(session_id)
    (subscription,) = (await shop.stripe.subscriptions.list_async({"status": "all"})).data
    invoice = await shop.stripe.invoices.retrieve_async(
        str(subscription.latest_invoice), {"expand": ["payments"]}
    )
    intent = await shop.stripe.payment_intents.retrieve_async(
        str(invoice.payments.data[0].payment.payment_intent)
    )
    return (
        session.status,
        session.payment_status,
        subscription.status,
        str(invoice.status),
        intent.status,
    )


@pytest.fixture
async def unhurried(shop: Shop) -> Shop:
    """Let no debit be over before a test has looked."""
    await shop.control("/settings", {"debit_settles_after_seconds": THREE_MINUTES}, method="PUT")
    return shop


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
async def test_the_guides_table(unhurried: Shop, row: Row) -> None:
    shop = unhurried
    session = await session_in(shop, row.currency)
    before = len(await shop.events())

    outcome = await fill_in(shop, session.id, **row.form)

    events = [event.type for event in (await shop.events())[before:]]
    assert (outcome["outcome"], outcome["code"], outcome["decline_code"]) == (
        row.outcome,
        row.code,
        row.decline_code,
    )
    assert await state_of(shop, session.id) == row.state
    assert events == row.events
    if row.later is not None:
        await shop.advance(THREE_MINUTES)
        later = (await shop.events())[before + len(events) :]
        assert await state_of(shop, session.id) == row.later
        assert [event.type for event in later] == (row.later_events or PAID_LATER)


async def test_a_card_that_needs_authentication_leaves_the_question_open(shop: Shop) -> None:
    session = await shop.session()

    asked = await fill_in(shop, session.id, number=NEEDS_AUTHENTICATION_ONCE)

    assert asked["outcome"] == "requires_action"
    assert await state_of(shop, session.id) == (
        "open",
        "unpaid",
        "incomplete",
        "open",
        "requires_action",
    )
    intent = await shop.stripe.payment_intents.retrieve_async(asked["payment_intent"])
    assert intent.next_action is not None


async def test_authentication_that_succeeds_completes_the_session(shop: Shop) -> None:
    session = await shop.session()
    await fill_in(shop, session.id, number=NEEDS_AUTHENTICATION_ONCE)

    outcome = await shop.control(f"/checkout/{session.id}/authenticate", {"succeed": True})

    assert outcome["outcome"] == "complete"
    assert await state_of(shop, session.id) == SETTLED


@pytest.mark.parametrize("how", ["authenticate", "pay again"])
async def test_authentication_that_fails_is_a_decline_after_which_another_card_pays(
    shop: Shop, how: str
) -> None:
    session = await shop.session()
    await fill_in(shop, session.id, number=NEEDS_AUTHENTICATION_ONCE)
    before = len(await shop.events())

    if how == "authenticate":
        declined = await shop.control(f"/checkout/{session.id}/authenticate", {"succeed": False})
    else:
        declined = await fill_in(
            shop, session.id, number=NEEDS_AUTHENTICATION_ONCE, authenticate=False
        )

    events = [event.type for event in (await shop.events())[before:]]
    assert (declined["outcome"], declined["code"], declined["decline_code"]) == (
        "declined",
        "payment_intent_authentication_failure",
        None,
    )
    assert events == ["payment_intent.payment_failed", "invoice.payment_failed"]
    assert (await fill_in(shop, session.id, number=GOOD))["outcome"] == "complete"
    assert await state_of(shop, session.id) == SETTLED


async def test_nothing_can_be_authenticated_that_nobody_asked_for(shop: Shop) -> None:
    session = await shop.session()

    refused = await shop.control(
        f"/checkout/{session.id}/authenticate", {"succeed": True}, status=400
    )

    assert "waits for no authentication" in refused["error"]["message"]


async def test_a_trial_can_need_authentication_too(shop: Shop) -> None:
    session = await shop.session(subscription_data={"trial_period_days": 7})

    asked = await fill_in(shop, session.id, number=NEEDS_AUTHENTICATION_ONCE)
    refused = await shop.control(f"/checkout/{session.id}/authenticate", {"succeed": False})
    accepted = await fill_in(shop, session.id, number=NEEDS_AUTHENTICATION_ONCE, authenticate=True)

    assert (asked["outcome"], asked["payment_intent"]) == ("requires_action", None)
    assert refused["code"] == "setup_intent_authentication_failure"
    assert accepted["outcome"] == "complete"
    (subscription,) = (await shop.stripe.subscriptions.list_async()).data
    assert subscription.status == "trialing"
    # The first charge is made without the customer, by a card that was set up for that.
    await shop.advance(7 * DAY + HOUR)
    assert (await shop.subscription(subscription.id)).status == "active"
    assert "invoice.payment_failed" not in await shop.event_types()
