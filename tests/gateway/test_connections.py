"""Connections of strangers that are slow, many, or silent, over raw sockets."""

import asyncio
import resource
from pathlib import Path
from typing import Self

import aiohttp
import orjson
import pytest

from tests.gateway.clients import PATH, Stripe, an_event, signed, until
from tests.gateway.databases import SharedDatabase
from tests.gateway.processes import a_process
from tests.gateway.serving import serving
from webhook_gateway import connections as connections_module
from webhook_gateway import server
from webhook_gateway.connections import Connections, most_connections
from webhook_gateway.gateway import Gateway

HEAD = b"POST %b HTTP/1.1\r\nHost: gateway\r\n" % PATH.encode()


@pytest.fixture
def database(sqlite: SharedDatabase) -> SharedDatabase:
    return sqlite


@pytest.fixture
def bounds(gateway: Gateway) -> Connections:
    """Give the bounds of the gateway's connections, to be narrowed."""
    return gateway.connections


async def _cut(stripe: Stripe, cause: str) -> float:
    return await stripe.metric("paidup_webhook_connections_cut_total", cause=cause)


async def test_a_head_that_does_not_come_in_time_ends_its_connection(
    stripe: Stripe, bounds: Connections
) -> None:
    bounds.head_timeout = 0.3
    async with _Socket(stripe) as socket:
        dripping = asyncio.create_task(socket.drip(HEAD))

        assert await socket.ended()
        dripping.cancel()

    assert await _cut(stripe, "slow_head") == 1


async def test_the_process_cuts_off_a_head_that_drips_and_answers_what_is_whole(
    database: SharedDatabase, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    with a_process(tmp_path, DATABASE_URL=database.url) as process:
        stripe = Stripe(session, await process.url())
        async with _Socket(stripe) as socket:
            dripping = asyncio.create_task(socket.drip(HEAD + b"X-Slow: " + 1000 * b"a"))
            answer = await stripe.deliver(an_event())

            assert await socket.ended()
            dripping.cancel()

        assert answer.outcome == "applied"
        assert await _cut(stripe, "slow_head") == 1


async def test_a_second_head_on_a_kept_connection_is_timed_like_the_first(
    stripe: Stripe, bounds: Connections
) -> None:
    bounds.head_timeout = 0.3
    async with _Socket(stripe) as socket:
        socket.send(b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n")
        assert await socket.status() == 200
        dripping = asyncio.create_task(socket.drip(HEAD))

        assert await socket.ended()
        dripping.cancel()

    assert await _cut(stripe, "slow_head") == 1


async def test_a_request_that_is_not_answered_in_time_ends_its_connection(
    stripe: Stripe, bounds: Connections, database: SharedDatabase
) -> None:
    bounds.request_timeout = 0.3
    async with database.held(), _Socket(stripe) as socket:
        socket.send_event()

        assert await socket.ended()

    assert await _cut(stripe, "slow_request") == 1


async def test_an_idle_connection_is_kept_for_a_while_and_then_closed(
    gateway: Gateway, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "KEEPALIVE_TIMEOUT", 0.3)
    async with serving(gateway, session) as stripe, _Socket(stripe) as never_said_anything:
        async with _Socket(stripe) as asked_once:
            asked_once.send(b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n")
            assert await asked_once.status() == 200
            assert await asked_once.ended()
        assert await never_said_anything.ended()


async def test_a_crowd_of_silent_connections_keeps_nobody_out(
    stripe: Stripe, bounds: Connections
) -> None:
    bounds._most = 3
    crowd = [await _Socket(stripe).open() for _ in range(20)]

    answer = await stripe.deliver(an_event())

    assert answer.outcome == "applied"
    assert await stripe.metric("paidup_webhook_connections") <= 3
    assert await _cut(stripe, "made_room") >= 17
    assert await crowd[0].ended()
    for socket in crowd:
        await socket.close()


async def test_while_all_connections_work_one_more_is_told_to_come_again(
    stripe: Stripe, bounds: Connections, database: SharedDatabase
) -> None:
    bounds._most = 2
    async with database.held(), _Socket(stripe) as first, _Socket(stripe) as second:
        first.send_event(1)
        second.send_event(2)
        await until(lambda: _all_work(bounds))

        async with _Socket(stripe) as third:
            head = await third.head()

    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 5" in head
    bounds._most = 10
    refused = {"reason": "too_many_connections"}
    assert await stripe.metric("paidup_webhook_refused_total", **refused) == 1
    assert (await stripe.deliver(an_event(3))).outcome == "applied"


async def _all_work(bounds: Connections) -> bool:
    return bounds._open == 2 and not bounds._waiting


async def test_connections_that_end_make_room(stripe: Stripe) -> None:
    async def only_this_one() -> bool:
        return await stripe.metric("paidup_webhook_connections") == 1

    for _ in range(3):
        async with _Socket(stripe) as socket:
            socket.send(HEAD)

    await until(only_this_one)


async def test_unfinished_heads_are_bounded_together(
    stripe: Stripe, bounds: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections_module, "MAX_UNFINISHED_HEADS", 3000)
    async with _Socket(stripe) as first, _Socket(stripe) as second:
        first.send(HEAD + b"X-First: " + b"a" * 1900)
        await until(lambda: _holds(bounds, 1900))
        second.send(HEAD + b"X-Second: " + b"a" * 1900)

        assert await second.ended()

    await until(lambda: _holds_nothing(bounds))
    assert await _cut(stripe, "heads_too_large") == 1
    assert (await stripe.deliver(an_event())).outcome == "applied"


async def _holds(bounds: Connections, least: int) -> bool:
    return bounds._unfinished >= least


async def _holds_nothing(bounds: Connections) -> bool:
    return bounds._unfinished == 0


async def test_a_head_of_too_many_lines_is_refused(stripe: Stripe) -> None:
    lines = b"".join(b"X-Line-%d: a\r\n" % number for number in range(server.MAX_HEADERS + 1))
    async with _Socket(stripe) as socket:
        socket.send(b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n" + lines + b"\r\n")

        assert await socket.status() == 400


def test_there_are_never_more_connections_than_files_may_be_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for files, most in ((1024, 960), (1_048_576, 2000), (10, 1)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, files=files: (files, files))

        assert most_connections() == most


class _Socket:
    """One connection of a client that takes its time."""

    def __init__(self, stripe: Stripe) -> None:
        self._address = stripe.url.removeprefix("http://").split(":")

    async def open(self) -> Self:
        host, port = self._address
        self._reader, self._writer = await asyncio.open_connection(host, int(port))
        return self

    async def close(self) -> None:
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def send(self, sent: bytes) -> None:
        self._writer.write(sent)

    def send_event(self, number: int = 1) -> None:
        body = orjson.dumps(an_event(number))
        signature = signed(body)["Stripe-Signature"].encode()
        length = b"Content-Length: %d\r\n" % len(body)
        self.send(HEAD + b"Stripe-Signature: " + signature + b"\r\n" + length + b"\r\n" + body)

    async def drip(self, sent: bytes) -> None:
        for each in sent:
            self.send(bytes([each]))
            await asyncio.sleep(0.05)

    async def status(self) -> int:
        return int((await self.head()).split()[1])

    async def head(self) -> bytes:
        async with asyncio.timeout(10):
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split()[0])
            await self._reader.readexactly(length)
        return head

    async def ended(self) -> bool:
        """Wait until the other end has closed it."""
        async with asyncio.timeout(30):
            try:
                return await self._reader.read() == b""
            except ConnectionError:
                return True
