"""What needs no browser to be seen of the pages."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment, FileSystemLoader
from jinja2.ext import extract_from_ast

from stripe_emulator import (
    acknowledgement,
    custom_text,
    money,
    page_texts,
    pages,
    payment_view,
    portal_pages,
    portal_view,
    typed_fields,
)
from stripe_emulator.instruments import Card
from stripe_emulator.typed_fields import Incorrect
from tests.emulator.shop import GOOD, Shop

TEMPLATES = Path(payment_view.__file__).parent / "templates"
#: The first moment of 2026-11-23, UTC.
NOW = 1_795_392_000
CARD = {"number": GOOD, "expiry": "12 / 34", "cvc": "123", "name": "Ada"}


async def test_the_hosted_page_is_shown_in_no_frame(shop: Shop) -> None:
    session = await shop.session(
        ui_mode="hosted_page", return_url=None, success_url="https://example.com/"
    )

    response = await shop.raw("GET", f"/c/pay/{session.id}")

    policy = response.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert response.headers["Cache-Control"] == "no-store"


async def _embedded(shop: Shop, **changes: str) -> Any:
    session = await shop.session()
    query = {
        "client_secret": session.client_secret,
        "key": "pk_test_shop",
        "origin": "https://shop.example",
        **changes,
    }
    return await shop.raw("GET", "/c/embedded", params=query)


async def test_the_form_is_framed_by_the_page_that_it_was_made_for(shop: Shop) -> None:
    response = await _embedded(shop)

    assert response.status == 200
    assert "frame-ancestors https://shop.example" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"client_secret": "cs_test_none_secret_x"}, 404),
        ({"client_secret": ""}, 404),
        ({"key": "pk_live_shop"}, 401),
        ({"key": ""}, 401),
        ({"origin": ""}, 400),
        ({"origin": "https://shop.example; script-src *"}, 400),
        ({"origin": "javascript:alert(1)"}, 400),
    ],
)
async def test_what_opens_no_form(shop: Shop, changes: dict[str, str], status: int) -> None:
    response = await _embedded(shop, **changes)

    assert response.status == status
    assert 'id="payment"' not in await response.text()


async def test_a_sessions_id_alone_opens_no_embedded_form(shop: Shop) -> None:
    session = await shop.session()

    shown = await shop.raw("GET", f"/c/pay/{session.id}")
    pressed = await shop.raw("POST", f"/c/pay/{session.id}", json={"method": "card", **CARD})

    assert shown.status == 404
    assert (await pressed.json())["outcome"] == "declined"
    assert (await shop.stripe.checkout.sessions.retrieve_async(session.id)).status == "open"


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"text"', b'{"client_secret": 1}'])
async def test_a_form_that_is_none_is_refused(shop: Shop, body: bytes) -> None:
    session = await shop.session()

    response = await shop.raw("POST", f"/c/pay/{session.id}", data=body)

    assert (await response.json())["outcome"] == "declined"


@pytest.mark.parametrize("method", ["sepa_debit", "cash", None, ["card"]])
async def test_only_what_is_offered_can_be_chosen(shop: Shop, method: object) -> None:
    session = await shop.session(
        ui_mode="hosted_page", return_url=None, success_url="https://example.com/"
    )
    body = {"method": method, "iban": "AT611904300234573201", "email": "a@b.example", **CARD}

    response = await shop.raw("POST", f"/c/pay/{session.id}", json=body)

    answer = await response.json()
    assert answer == {"outcome": "declined", "message": "Choose a payment method."}


@pytest.mark.parametrize("release", ["dahlia", "endive"])
async def test_any_page_may_load_the_script(shop: Shop, release: str) -> None:
    response = await shop.raw("GET", f"/{release}/stripe.js")

    assert response.status == 200
    assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert response.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("name", ["pages.py", "none.css", "..%2Fpages.py"])
async def test_only_the_pages_own_files_are_given(shop: Shop, name: str) -> None:
    response = await shop.raw("GET", f"/assets/{name}")

    assert response.status == 404


@pytest.mark.parametrize("headers", [{}, {"Origin": "own"}, {"Sec-Fetch-Site": "same-origin"}])
async def test_programs_and_our_own_pages_press_buttons(
    shop: Shop, headers: dict[str, str]
) -> None:
    own = {name: shop.url if value == "own" else value for name, value in headers.items()}

    response = await shop.raw("POST", "/_emulator/clock/advance", json={"seconds": 1}, headers=own)

    assert response.status == 200


async def test_a_portal_of_somebody_deleted_is_gone(shop: Shop) -> None:
    customer = await shop.stripe.customers.create_async({})
    portal = await shop.portal(customer.id)
    await shop.stripe.customers.delete_async(customer.id)

    response = await shop.raw("GET", f"/p/session/{portal}")

    assert response.status == 404


async def test_the_bank_asks_before_a_card_is_put_on_file(shop: Shop) -> None:
    bought = await shop.subscribe()
    portal = await shop.portal(bought.customer)
    path, card = f"/portal/{portal}/payment_method", {"number": "4000002500003155"}

    asked = await shop.control(path, card)
    refused = await shop.control(path, {**card, "authenticate": False})
    between = (await shop.subscription(bought.id)).default_payment_method
    accepted = await shop.control(path, {**card, "authenticate": True})

    assert asked["outcome"] == "requires_action"
    assert refused["code"] == "setup_intent_authentication_failure"
    assert between == bought.default_payment_method
    assert accepted["outcome"] == "complete"
    assert (await shop.subscription(bought.id)).default_payment_method != between


async def test_nobody_cancels_what_another_bought(shop: Shop) -> None:
    mine, theirs = await shop.subscribe(), await shop.subscribe()
    portal = await shop.portal(mine.customer)

    await shop.control(f"/portal/{portal}/cancel", {"subscription": theirs.id}, status=400)

    assert (await shop.subscription(theirs.id)).cancel_at is None


@pytest.mark.parametrize(
    ("amount", "currency", "language", "said"),
    [
        (500, "usd", "en", "$5.00"),
        (-123456, "eur", "en", "-€1,234.56"),
        (500, "chf", "en", "CHF\u00a05.00"),
        (500, "jpy", "en", "¥500"),
        (123456, "eur", "fr", "1\u202f234,56\u00a0€"),
    ],
)
def test_amounts_are_said_as_people_say_them(
    amount: int, currency: str, language: str, said: str
) -> None:
    assert money.shown(amount, currency, language) == said


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a < b & c", "a &lt; b &amp; c"),
        ("**now** or later", "<strong>now</strong> or later"),
        ("<i>**now**", "&lt;i&gt;<strong>now</strong>"),
        ("[x](javascript:alert)", "[x](javascript:alert)"),
        ("**<b>**", "<strong>&lt;b&gt;</strong>"),
        (
            '[x](https://a.example/"onclick=")',
            (
                '<a href="https://a.example/&#34;onclick=&#34;" target="_blank" '
                'rel="noopener noreferrer">x</a>'
            ),
        ),
    ],
)
def test_a_merchants_words_cannot_become_other_markup(text: str, html: str) -> None:
    assert str(custom_text.html(text)) == html


def test_an_address_cannot_loosen_the_policy() -> None:
    response = pages.page(
        "message.html",
        leads_to=("https://a.example:8443/back?x=1", "https://b.example;script-src *", None),
        title="",
        text="",
        link=None,
    )

    policy = response.headers["Content-Security-Policy"]
    assert "form-action 'self' https://a.example:8443;" in policy
    assert "b.example" not in policy


def test_a_merchants_link_opens_beside_the_form() -> None:
    said = str(custom_text.html("See [our <terms>](https://a.example/t)."))

    assert said == (
        'See <a href="https://a.example/t" target="_blank" rel="noopener noreferrer">'
        "our &lt;terms&gt;</a>."
    )


def test_a_card_is_read() -> None:
    card = typed_fields.instrument(CARD, "card", NOW)

    assert isinstance(card, Card)
    assert card.number == GOOD


@pytest.mark.parametrize(
    ("method", "changes", "field", "problem"),
    [
        ("card", {"number": ""}, "number", "incomplete"),
        ("card", {"number": "4242424242424241"}, "number", "incorrect"),
        ("card", {"number": 4242}, "number", "incomplete"),
        ("card", {"expiry": "10 / 26"}, "expiry", "in the past"),
        ("card", {"expiry": "13 / 34"}, "expiry", "incomplete"),
        ("card", {"expiry": "12 / 99"}, "expiry", "year is invalid"),
        ("card", {"cvc": "12"}, "cvc", "incomplete"),
        ("card", {"number": "378282246310005", "cvc": "123"}, "cvc", "incomplete"),
        ("card", {"name": "  "}, "name", "name"),
        ("sepa_debit", {"iban": "AT611904300234573202"}, "iban", "invalid"),
        ("au_becs_debit", {"bsb": "00", "account_number": "000123456"}, "bsb", "invalid"),
        ("au_becs_debit", {"bsb": "000000"}, "account_number", "incomplete"),
    ],
)
def test_what_cannot_be_right_is_said_by_field(
    method: str, changes: dict[str, object], field: str, problem: str
) -> None:
    with pytest.raises(Incorrect) as caught:
        typed_fields.instrument({**CARD, **changes}, method, NOW)

    assert list(caught.value.problems) == [field]
    assert problem in caught.value.problems[field]


def test_a_card_is_good_until_its_months_end() -> None:
    assert typed_fields.instrument({**CARD, "expiry": "11/26"}, "card", NOW)


@pytest.mark.parametrize("typed", ["", "ada", "ada@example", "a b@example.com", "@example.com"])
def test_what_is_no_email(typed: str) -> None:
    assert list(typed_fields.email_problems({"email": typed})) == ["email"]


async def test_nobody_waits_for_ever_for_a_webhook() -> None:
    event = {"pending_webhooks": 1}

    async with asyncio.timeout(5):
        await acknowledgement.wait([event], longest=0.01)


async def test_what_was_taken_is_not_waited_for() -> None:
    async with asyncio.timeout(5):
        await acknowledgement.wait([{"pending_webhooks": 0}], longest=60)


def _said_on_pages() -> set[str]:
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
    return {
        text
        for path in TEMPLATES.glob("*.html")
        if path.name != "dashboard.html"
        for _line, _function, text in extract_from_ast(environment.parse(path.read_text()), ("_",))
        if isinstance(text, str)
    }


def test_all_that_is_said_is_said_in_french() -> None:
    said = {
        *_said_on_pages(),
        *portal_pages.DONE.values(),
        *portal_pages.REASONS.values(),
        *(label for label, _tone in portal_view.STATUSES.values()),
        *(label for label, _tone in portal_view.INVOICE_STATUSES.values()),
        *(part for message in payment_view.OVER.values() for part in message),
        *payment_view.BUTTONS.values(),
    }

    assert said - page_texts.FRENCH.keys() == set()


def test_translations_fill_in_the_same_values() -> None:
    for english, french in page_texts.FRENCH.items():
        assert english.count("%(") == french.count("%("), english
