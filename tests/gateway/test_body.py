"""Bodies that are too large, too slow, cut short or too many."""

import asyncio
from collections.abc import AsyncIterator
from typing import Self

import pytest

from tests.gateway.clients import PATH, Stripe, an_event, signed, until
from tests.gateway.databases import SharedDatabase, count
from webhook_gateway import body as body_module

MIB = 1024 * 1024


@pytest.fixture
def database(sqlite: SharedDatabase) -> SharedDatabase:
    return sqlite


@pytest.fixture(autouse=True)
async def _nothing_is_stored(database: SharedDatabase) -> AsyncIterator[None]:
    yield
    assert await count(database.url) == 0


async def test_a_body_of_two_mebibytes_is_refused(stripe: Stripe) -> None:
    answer = await stripe.send(b" " * (2 * MIB))

    assert (answer.status, answer.reason) == (413, "body_too_large")


async def test_a_body_of_two_mebibytes_in_chunks_is_refused(stripe: Stripe) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(32):
            yield b" " * 65536

    answer = await stripe.post(chunks(), signed(b" " * (2 * MIB)))

    assert (answer.status, answer.reason) == (413, "body_too_large")


async def test_a_body_of_one_mebibyte_is_read(stripe: Stripe) -> None:
    answer = await stripe.send(b" " * MIB)

    assert (answer.status, answer.reason) == (400, "not_json")


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (b"", 400),
        (b"Stripe-Signature: nonsense\r\n", 400),
        (b"Stripe-Signature: t=1,v1=" + 9000 * b"0" + b"\r\n", 400),
    ],
    ids=["missing", "malformed", "oversized"],
)
async def test_a_request_without_a_good_header_is_refused_before_its_body(
    stripe: Stripe, header: bytes, status: int
) -> None:
    async with _Connection(stripe) as connection:
        connection.send_head(header + b"Content-Length: 100\r\n")

        assert await connection.status() == status


async def test_a_length_that_is_too_large_is_refused_before_the_body(stripe: Stripe) -> None:
    async with _Connection(stripe) as connection:
        connection.send_head(_plausible() + b"Content-Length: 2000000\r\n")

        assert await connection.status() == 413


async def test_a_body_that_does_not_arrive_in_time_is_refused(stripe: Stripe) -> None:
    async with _Connection(stripe) as connection:
        connection.send_head(_plausible() + b"Content-Length: 100\r\n")
        connection.send(b'{"id":')

        assert await connection.status() == 408


async def test_a_body_that_is_not_chunked_as_it_says_is_refused(stripe: Stripe) -> None:
    async with _Connection(stripe) as connection:
        chunked = b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n"
        connection.send_head(_plausible() + chunked)
        assert await connection.status() == 100

        connection.send(b"zzz\r\n\r\n")

        # The parser says nothing, so the body never ends.
        assert await connection.status() == 408


async def test_a_client_that_goes_away_within_its_body_harms_nobody(
    stripe: Stripe, caplog: pytest.LogCaptureFixture
) -> None:
    async with _Connection(stripe) as connection:
        connection.send_head(_plausible() + b"Content-Length: 100\r\n")
        connection.send(b'{"id":')

    async def is_noticed() -> bool:
        return await stripe.metric("paidup_webhook_refused_total", reason="body_cut") == 1

    await until(is_noticed)
    assert caplog.text == ""


async def test_what_strangers_have_not_finished_is_bounded(
    stripe: Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_module, "MAX_UNFINISHED", 2000)
    async with _Connection(stripe) as first, _Connection(stripe) as second:
        first.send_head(_plausible() + b"Content-Length: 2000\r\n")
        first.send(b" " * 1500)
        second.send_head(_plausible() + b"Content-Length: 2000\r\n")
        second.send(b" " * 1500)

        both = {await first.status(), await second.status()}

    # The other one is let go for being slow.
    assert both == {503, 408}

    async def is_forgotten() -> bool:
        answer = await stripe.deliver(an_event(), secret="whsec_wrong")
        return answer.status == 400

    await until(is_forgotten)


async def test_a_compressed_body_is_not_unpacked(stripe: Stripe) -> None:
    body = b"not gzip at all"

    answer = await stripe.post(body, {**signed(body), "Content-Encoding": "gzip"})

    assert (answer.status, answer.reason) == (400, "not_json")


def _plausible() -> bytes:
    return b"Stripe-Signature: " + signed(b"{}")["Stripe-Signature"].encode() + b"\r\n"


class _Connection:
    """A client that says what it likes, and does not hurry."""

    def __init__(self, stripe: Stripe) -> None:
        self._address = stripe.url.removeprefix("http://").split(":")

    async def __aenter__(self) -> Self:
        host, port = self._address
        self._reader, self._writer = await asyncio.open_connection(host, int(port))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    def send_head(self, headers: bytes) -> None:
        self.send(b"POST %b HTTP/1.1\r\nHost: gateway\r\n%b\r\n" % (PATH.encode(), headers))

    def send(self, sent: bytes) -> None:
        self._writer.write(sent)

    async def status(self) -> int:
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 5)
        return int(head.split()[1])
