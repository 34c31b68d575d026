"""What is refused, and that nothing of it reaches the database."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.gateway.clients import PATH, SECRET, Stripe, an_event, signed
from tests.gateway.databases import SharedDatabase, count


@pytest.fixture
def database(sqlite: SharedDatabase) -> SharedDatabase:
    return sqlite


@pytest.fixture(autouse=True)
async def _nothing_is_stored(database: SharedDatabase) -> AsyncIterator[None]:
    yield
    assert await count(database.url) == 0


async def test_a_body_signed_with_another_secret_is_refused(stripe: Stripe) -> None:
    answer = await stripe.deliver(an_event(), secret="whsec_wrong")

    assert (answer.status, answer.reason) == (400, "signature_mismatch")
    refused = await stripe.metric("paidup_webhook_refused_total", reason="signature_mismatch")
    assert refused == 1


async def test_a_body_that_was_changed_after_signing_is_refused(stripe: Stripe) -> None:
    headers = signed(json.dumps(an_event(1)).encode())

    answer = await stripe.post(json.dumps(an_event(2)).encode(), headers)

    assert (answer.status, answer.reason) == (400, "signature_mismatch")


async def test_a_request_without_signature_is_refused(stripe: Stripe) -> None:
    answer = await stripe.post(b"{}", {})

    assert (answer.status, answer.reason) == (400, "missing_signature")


@pytest.mark.parametrize("age", [301, 3600, 10**8])
async def test_a_signature_that_is_too_old_is_refused(stripe: Stripe, age: int) -> None:
    answer = await stripe.deliver(an_event(), at=time.time() - age)

    assert (answer.status, answer.reason) == (400, "timestamp_too_old")


@pytest.mark.parametrize("ahead", [310, 3600, 10**8])
async def test_a_signature_from_the_future_is_refused(stripe: Stripe, ahead: int) -> None:
    answer = await stripe.deliver(an_event(), at=time.time() + ahead)

    assert (answer.status, answer.reason) == (400, "timestamp_in_the_future")


async def test_the_clock_skew_is_told_also_where_it_refuses(stripe: Stripe) -> None:
    await stripe.deliver(an_event(), at=time.time() + 4000)

    skew = await stripe.metric("paidup_clock_skew_seconds")
    assert -4001 < skew < -3990


async def test_a_wrong_signature_says_nothing_about_the_clock(stripe: Stripe) -> None:
    await stripe.deliver(an_event(), at=time.time() + 4000, secret="whsec_wrong")

    assert await stripe.metric("paidup_clock_skew_seconds") == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"object": "event"',
        b"not json",
        b'{"created": NaN}',
        b'{"created": Infinity}',
        b"[" * 2000 + b"]" * 2000,
        b'"\\ud800"',
    ],
    ids=["empty", "brace", "cut", "words", "nan", "infinity", "deep", "surrogate"],
)
async def test_a_body_that_is_not_json_is_refused(stripe: Stripe, body: bytes) -> None:
    answer = await stripe.send(body)

    assert (answer.status, answer.reason) == (400, "not_json")


async def test_a_body_that_is_not_utf_8_is_refused(stripe: Stripe) -> None:
    body = b'{"object": "\xff\xfe"}'

    answer = await stripe.post(body, _signed_by_hand(body))

    assert (answer.status, answer.reason) == (400, "not_json")


@pytest.mark.parametrize(
    "event",
    [
        [],
        "event",
        None,
        {},
        {"object": "v2.core.event", "id": "evt_1", "type": "v1.customer.subscription.updated"},
        {**an_event(), "data": None},
        {**an_event(), "data": {"object": "sub_1"}},
        {**an_event(), "id": None},
        {**an_event(), "id": ""},
        {**an_event(), "id": "evt_" + 300 * "1"},
        {**an_event(), "id": "evt_\x00"},
        {**an_event(), "type": 7},
        {**an_event(), "livemode": "false"},
        {**an_event(), "livemode": None},
        {**an_event(), "created": "yesterday"},
        {**an_event(), "created": 10**17},
        {**an_event(), "created": -(10**17)},
    ],
    ids=repr,
)
async def test_json_that_is_not_an_event_is_refused(stripe: Stripe, event: object) -> None:
    answer = await stripe.send(json.dumps(event).encode())

    assert (answer.status, answer.reason) == (400, "not_an_event")


@pytest.mark.parametrize("path", ["/", "/webhooks", "/webhooks/stripe/", "/admin", "/%00"])
async def test_other_paths_are_not_found(stripe: Stripe, path: str) -> None:
    answer = await stripe.request("POST", path, data=b"{}", headers=signed(b"{}"))

    assert (answer.status, answer.reason) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", PATH, "POST"), ("DELETE", PATH, "POST"), ("POST", "/metrics", "GET,HEAD")],
)
async def test_other_methods_are_not_allowed(
    stripe: Stripe, method: str, path: str, allowed: str
) -> None:
    answer = await stripe.request(method, path)

    assert (answer.status, answer.reason) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == allowed


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    value=st.one_of(
        st.binary(max_size=80),
        st.lists(
            st.sampled_from([b"t=1", b"t=", b"v1=", b"v1=" + 64 * b"0", b",", b"=", b"\xff"]),
            max_size=6,
        ).map(b",".join),
    )
)
async def test_no_signature_header_gets_past_or_breaks_it(stripe: Stripe, value: bytes) -> None:
    status = await _status_of_raw_header(stripe, value)

    assert status == 400


@pytest.mark.parametrize(
    "said",
    [b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"POST\r\n\r\n", b"GET / HTTP/1.1\r\nbad header\r\n\r\n"],
    ids=["tls", "half", "header"],
)
async def test_what_is_no_http_is_refused_and_not_logged(
    stripe: Stripe, caplog: pytest.LogCaptureFixture, said: bytes
) -> None:
    answered = await _say(stripe, said)

    assert answered.split()[1] == b"400"
    assert caplog.text == ""


def _signed_by_hand(body: bytes) -> dict[str, str]:
    # Stripe's own library signs text only.
    now = int(time.time())
    mac = hmac.new(SECRET.encode(), b"%d.%b" % (now, body), hashlib.sha256)
    return {"Stripe-Signature": f"t={now},v1={mac.hexdigest()}"}


async def _status_of_raw_header(stripe: Stripe, value: bytes) -> int:
    """Send a header that no client library would send."""
    one_line = value.replace(b"\r", b"").replace(b"\n", b"")
    head = b"POST %b HTTP/1.1\r\nHost: gateway\r\nContent-Length: 2\r\nConnection: close\r\n"
    signature = b"Stripe-Signature: " + one_line
    answered = await _say(stripe, head % PATH.encode() + signature + b"\r\n\r\n{}")
    return int(answered.split()[1])


async def _say(stripe: Stripe, said: bytes) -> bytes:
    host, port = stripe.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(said)
    answered = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    await writer.wait_closed()
    return answered
