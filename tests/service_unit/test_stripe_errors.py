"""Stripe's bad days, answered by a real server that behaves badly."""

import asyncio
import logging
from datetime import timedelta

import pytest

from billing_service.breaker import Breaker
from billing_service.errors import StripeMisconfigured, StripeUnavailable
from billing_service.stripe_api import LiveStripe
from billing_service.stripe_errors import StripeRefused
from demo.stack import API_KEY
from tests.service_unit.scripted_stripe import Answer, listed, missing, refused

pytestmark = pytest.mark.asyncio(loop_scope="session")

PRICE = "/v1/prices/price_1"
SECRET_TEXT = "Invalid API Key provided: sk_test_something jenny@example.com"
FAILURES = 5


async def _outcome(stripe):
    try:
        return await stripe.price("price_1")
    except (StripeUnavailable, StripeMisconfigured, StripeRefused) as error:
        return error


async def test_an_answer_is_plain_data(stripe, script):
    script.on("GET", PRICE, Answer({"id": "price_1", "recurring": {"interval": "month"}}))

    price = await stripe.price("price_1")

    assert type(price) is dict
    assert price["recurring"] == {"interval": "month"}


@pytest.mark.parametrize(
    "answer",
    [
        Answer("<html>Bad Gateway</html>", status=502, headers={"Content-Type": "text/html"}),
        Answer({"error": {"type": "api_error", "message": SECRET_TEXT}}, status=500),
        Answer("{not json"),
        Answer('{"id": "price_1"', cut=True),
        refused(409, code="idempotency_key_in_use"),
        refused(429, code="rate_limit"),
    ],
    ids=["HTML 502", "500", "garbage", "cut body", "409", "429"],
)
async def test_what_may_pass_by_itself_asks_to_try_again(stripe, script, answer):
    script.on("GET", PRICE, answer)

    outcome = await _outcome(stripe)

    assert isinstance(outcome, StripeUnavailable)
    assert outcome.retry_delay > timedelta(0)
    assert "sk_test" not in str(outcome)


async def test_nobody_there_asks_to_try_again(monkeypatch):
    monkeypatch.setattr("billing_service.stripe_api.NETWORK_RETRIES", 0)
    nobody = LiveStripe(API_KEY, api_base="http://127.0.0.1:1")

    outcome = await _outcome(nobody)
    await nobody.close()

    assert isinstance(outcome, StripeUnavailable)


async def test_a_slow_answer_asks_to_try_again(script, monkeypatch):
    monkeypatch.setattr("billing_service.stripe_api.NETWORK_RETRIES", 0)
    script.on("GET", PRICE, Answer(held=asyncio.Event()))
    impatient = LiveStripe(API_KEY, api_base=script.url, timeout=0.05)

    outcome = await _outcome(impatient)
    await impatient.close()

    assert isinstance(outcome, StripeUnavailable)


async def test_a_connection_error_is_tried_again_under_the_same_idempotency_key(script):
    script.on("POST", "/v1/customers", Answer("", status=503), Answer({"id": "cus_1"}))
    patient = LiveStripe(API_KEY, api_base=script.url)

    made = await patient.create_customer({}, idempotency_key="the-key")
    await patient.close()

    assert made == {"id": "cus_1"}
    assert [call.headers["Idempotency-Key"] for call in script.calls] == ["the-key"] * 2


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("3600", 60),
        ("0", 2),
        ("soon", 2),
        ("-5", 2),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 2),
    ],
)
async def test_a_limit_passes_on_how_long_to_wait_within_bounds(stripe, script, header, seconds):
    script.on("GET", PRICE, Answer({"error": {}}, status=429, headers={"Retry-After": header}))

    outcome = await _outcome(stripe)

    assert isinstance(outcome, StripeUnavailable)
    assert outcome.retry_delay == timedelta(seconds=seconds)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_is_for_the_operator_and_says_nothing(stripe, script, caplog, status):
    script.on("GET", PRICE, refused(status, message=SECRET_TEXT))

    with caplog.at_level(logging.WARNING):  # as `logs.configure` has it for the SDK
        outcome = await _outcome(stripe)

    assert isinstance(outcome, StripeMisconfigured)
    assert "sk_test" not in str(outcome)
    record = next(each for each in caplog.records if each.message == "stripe_call_failed")
    assert record.levelno == logging.ERROR
    assert record.stripe_request_id == "req_scripted"
    assert "sk_test" not in caplog.text
    assert "jenny" not in caplog.text


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (missing("price"), ("resource_missing", "price", True)),
        (missing("customer", status=400), ("resource_missing", "customer", True)),
        (refused(param="locale", message=SECRET_TEXT), ("invalid_request_error", "locale", False)),
        (refused(402, type="card_error", code="card_declined"), ("card_declined", None, False)),
        (refused(400, type="idempotency_error"), ("idempotency_error", None, False)),
    ],
)
async def test_a_refusal_keeps_what_it_is_about_and_not_its_text(stripe, script, answer, told):
    script.on("GET", PRICE, answer)

    outcome = await _outcome(stripe)

    assert isinstance(outcome, StripeRefused)
    assert (outcome.code, outcome.param, outcome.is_missing) == told
    assert "sk_test" not in str(outcome)


async def _break(stripe, script) -> None:
    script.on("GET", PRICE, Answer("", status=500))
    for _ in range(FAILURES):
        await _outcome(stripe)


async def test_outages_in_a_row_stop_the_calls(stripe, script):
    await _break(stripe, script)
    before = len(script.calls)

    outcome = await _outcome(stripe)

    assert isinstance(outcome, StripeUnavailable)
    assert timedelta(0) < outcome.retry_delay <= timedelta(seconds=5)
    assert len(script.calls) == before


@pytest.mark.parametrize("status", [400, 401, 404, 409, 429])
async def test_any_answer_shows_that_stripe_is_there(stripe, script, status):
    script.on("GET", PRICE, refused(status))

    for _ in range(FAILURES + 1):
        await _outcome(stripe)

    assert len(script.calls) == FAILURES + 1


async def _cancelled_call(stripe, script) -> None:
    script.on("GET", PRICE, Answer(held=asyncio.Event()))
    script.came.clear()
    call = asyncio.create_task(stripe.price("price_1"))
    await script.came.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_cancelled_call_is_no_answer(stripe, script):
    script.on("GET", PRICE, Answer("", status=500))
    for _ in range(FAILURES - 1):
        await _outcome(stripe)
    await _cancelled_call(stripe, script)
    script.on("GET", PRICE, Answer("", status=500))
    await _outcome(stripe)
    before = len(script.calls)

    await _outcome(stripe)

    assert len(script.calls) == before, "the breaker should have opened at the fifth outage"


async def test_a_cancelled_call_is_no_outage(stripe, script):
    for _ in range(FAILURES):
        await _cancelled_call(stripe, script)
    script.on("GET", PRICE, Answer({"id": "price_1"}))

    assert await _outcome(stripe) == {"id": "price_1"}


async def test_a_cancelled_try_does_not_close_an_open_breaker(stripe, script):
    now = [0.0]
    stripe._breaker = Breaker(monotonic=lambda: now[0])
    await _break(stripe, script)
    now[0] += 5
    await _cancelled_call(stripe, script)
    script.on("GET", PRICE, Answer({"id": "price_1"}))

    refused_again = await _outcome(stripe)
    now[0] += 5
    answered = await _outcome(stripe)

    assert isinstance(refused_again, StripeUnavailable)
    assert answered == {"id": "price_1"}


async def test_a_list_is_read_to_its_last_page(stripe, script):
    script.on(
        "GET",
        "/v1/products",
        listed({"id": "prod_1"}, {"id": "prod_2"}, has_more=True),
        listed({"id": "prod_3"}),
    )

    products = await stripe.products()

    assert [each["id"] for each in products] == ["prod_1", "prod_2", "prod_3"]
    assert script.calls[1].params["starting_after"] == "prod_2"


async def test_a_read_is_dated_by_stripes_clock(stripe, script):
    stamp = {"Date": "Mon, 02 Nov 2026 12:00:00 GMT"}
    script.on("GET", "/v1/subscriptions", Answer(listed().body, headers=stamp))

    read = await stripe.subscriptions("cus_1")

    assert read.end.isoformat() == "2026-11-02T12:00:01+00:00"
    assert "2026-11-02T11:59:50" < read.start.isoformat() < "2026-11-02T11:59:59+00:00"
