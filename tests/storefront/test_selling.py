"""What the pages and endpoints answer, step by step."""

from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from demo.stack import API_KEY, Addresses, Stack
from tests.storefront.visitor import Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")

GOOD = "4242424242424242"


async def _expire(stack: Stack, session_id: str) -> None:
    url = f"{stack.emulator.url}/v1/checkout/sessions/{session_id}/expire"
    async with aiohttp.ClientSession() as web:
        answer = await web.post(url, headers={"Authorization": f"Bearer {API_KEY}"})
        assert answer.status == 200


async def test_the_guides_endpoints_from_the_form_to_the_portal(
    visitor: Visitor, stack: Stack
) -> None:
    created = await visitor.post("/create-checkout-session", {"price": "basic_monthly"})
    session_id = created.json["clientSecret"].partition("_secret_")[0]
    before = await visitor.get(f"/session-status?session_id={session_id}")
    await stack.emulator.pay(session_id, number=GOOD, email=visitor.email)
    after = await visitor.get(f"/session-status?session_id={session_id}")
    portal = await visitor.send("/create-portal-session", {})

    assert created.json["publishableKey"].startswith("pk_test_")
    assert (before.json["status"], before.json["payment_status"]) == ("open", "unpaid")
    assert after.json == {
        "status": "complete",
        "payment_status": "paid",
        "customer_email": visitor.email,
        "state": "paid",
    }
    assert portal.status == 303
    assert portal.headers["Location"].startswith(f"{stack.emulator.url}/p/session/")


async def test_asked_again_the_same_session_is_given(visitor: Visitor) -> None:
    assert await visitor.checkout() == await visitor.checkout()


async def test_who_holds_a_plan_is_led_to_the_portal_to_change_it(
    visitor: Visitor, stack: Stack
) -> None:
    session_id = await visitor.checkout()
    await stack.emulator.pay(session_id, number=GOOD, email=visitor.email)
    assert (await visitor.get(f"/return?session_id={session_id}")).heading == "Thank you!"

    for price in ("basic_monthly", "premium_monthly"):
        again = await visitor.post("/create-checkout-session", {"price": price})
        assert list(again.json) == ["redirect"]
        assert again.json["redirect"].startswith(f"{stack.emulator.url}/p/session/")


async def test_an_expired_session_leads_to_the_start(visitor: Visitor, stack: Stack) -> None:
    session_id = await visitor.checkout()
    await _expire(stack, session_id)

    answer = await visitor.get(f"/return?price=basic_monthly&session_id={session_id}")

    assert answer.heading == "That took too long"
    assert "Start over" in answer.text


async def test_an_open_session_without_its_price_leads_to_the_prices(visitor: Visitor) -> None:
    session_id = await visitor.checkout()

    answer = await visitor.get(f"/return?price=unknown&session_id={session_id}")

    assert answer.heading == "Not paid yet"


async def test_nobody_sees_a_session_of_somebody_elses(
    visitor: Visitor, visitors: Callable[..., Visitor]
) -> None:
    session_id = await visitor.checkout()
    other = visitors()
    await other.sign_in()

    page = await other.get(f"/return?price=basic_monthly&session_id={session_id}")
    status = await other.get(f"/session-status?session_id={session_id}")

    assert (page.status, status.status) == (404, 404)


@pytest.mark.parametrize("session_id", ["", "cs_test_unknown", "x", "cs_../../", "cs_" + "a" * 400])
async def test_what_is_no_session_is_not_found(visitor: Visitor, session_id: str) -> None:
    answer = await visitor.get(f"/session-status?session_id={session_id}")

    assert answer.status == 404
    assert "error" in answer.json


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"\xff", 400),
        ([], 400),
        ({}, 400),
        ({"price": 5}, 400),
        ({"price": "setup_fee"}, 404),
        ({"price": "other"}, 404),
    ],
)
async def test_what_is_not_sold_cannot_be_bought(
    visitor: Visitor, body: object, status: int
) -> None:
    answer = await visitor.post("/create-checkout-session", body)

    assert answer.status == status
    assert "error" in answer.json


async def test_strangers_are_asked_to_sign_in_and_led_back(stranger: Visitor) -> None:
    page = await stranger.get("/subscribe?price=basic_monthly")
    script = await stranger.post("/create-checkout-session", {"price": "basic_monthly"})

    assert page.headers["Location"] == "/sign-in?next=/subscribe?price%3Dbasic_monthly"
    assert (script.status, list(script.json)) == (401, ["error"])


async def test_the_portal_is_closed_to_who_never_bought(visitor: Visitor) -> None:
    answer = await visitor.send("/create-portal-session", {"flow": "cancel"})

    assert (answer.status, answer.heading) == (404, "There is nothing to manage yet")


async def test_a_flow_that_is_unknown_is_refused(visitor: Visitor) -> None:
    assert (await visitor.send("/create-portal-session", {"flow": "steal"})).status == 400


async def test_a_feature_that_is_unknown_is_not_found(visitor: Visitor) -> None:
    assert (await visitor.get("/features/everything")).status == 404
    assert (await visitor.get("/features/everything/state")).status == 404


async def test_prices_are_shown_as_the_query_says_or_else_as_they_are(stranger: Visitor) -> None:
    yearly = (await stranger.get("/?interval=year&currency=eur")).text
    odd = (await stranger.get("/?interval=week&currency=xyz")).text

    assert "€50" in yearly
    assert "basic_yearly_eur" in yearly
    assert "basic_monthly" in odd


async def test_a_price_that_is_not_sold_that_way_has_no_button(stranger: Visitor) -> None:
    text = (await stranger.get("/?interval=year&currency=aud")).text

    assert "Not sold this way" in text
    assert "/subscribe" not in text


async def test_what_visitors_type_is_shown_as_text(stranger: Visitor) -> None:
    answer = await stranger.sign_in(email='"><script>alert(1)</script>')

    assert "<script>alert" not in answer.text


async def test_without_billing_every_gate_is_closed_and_the_page_says_so(
    stack: Stack, visitors: Callable[..., Visitor]
) -> None:
    nobody = "127.0.0.1:9"
    process = await stack.start_storefront("127.0.0.1:0", STOREFRONT_BILLING=nobody)
    visitor = visitors(f"http://{process.address}")
    # The first page needs no billing for strangers.
    await visitor.sign_in()

    # After that, every page does: the token is the one that was given before.
    page = await visitor.get("/features/api_access")
    state = await visitor.get("/features/api_access/state")
    account = await visitor.get("/account")

    assert page.heading == "We cannot ask about payments at the moment"
    assert (page.status, state.status, account.status) == (503, 503, 503)
    assert page.headers["Retry-After"] == "5"
    assert "error" in state.json
    assert not [line for line in process.lines if visitor.email in line]
    assert await process.stop() == 0


async def test_who_has_paid_stays_in_while_billing_is_away(
    tmp_path: Path, visitors: Callable[..., Visitor]
) -> None:
    addresses = Addresses(storefront="127.0.0.1:0")
    url = f"sqlite+aiosqlite:///{tmp_path / 'paidup.db'}"
    async with Stack(database_url=url, addresses=addresses) as stack:
        assert stack.storefront is not None
        payer, other = (visitors(f"http://{stack.storefront.address}") for _ in range(2))
        for each in (payer, other):
            await each.sign_in()
        session_id = await payer.checkout()
        await stack.emulator.pay(session_id, number=GOOD, email=payer.email)
        assert (await payer.get(f"/return?session_id={session_id}")).heading == "Thank you!"
        assert (await payer.get("/features/api_access")).status == 200
        assert (await other.get("/features/api_access")).status == 403

        await stack.service.kill()

        assert (await payer.get("/features/api_access")).status == 200
        assert (await payer.get("/features/reports")).status == 503
        assert (await other.get("/features/api_access")).status == 503
