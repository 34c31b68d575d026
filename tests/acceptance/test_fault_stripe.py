"""Stripe refuses connections, says nothing, or fails: checks go on, and what was missed is read."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from demo.stack import Stack, settled
from paidup.v1 import billing_service_pb2 as pb
from tests.acceptance.faults import SETTINGS, System, check, running, until
from tests.service.shop import RETURN_URL

pytestmark = pytest.mark.timeout(300)

FAULTS = ("refused", "silent", "failing")


class Way:
    """The way from the service to Stripe; it can be closed, or lead nowhere."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.destination = ""
        self._server: asyncio.Server | None = None
        self._silent = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self._silent = False
        if self._server is None:
            host, port = self.address.split(":")
            self._server = await asyncio.start_server(self._serve, host, int(port))

    async def refuse(self) -> None:
        """Refuse connections, and cut those that there are."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._cut()

    def be_silent(self) -> None:
        """Take connections and say nothing, ever."""
        self._silent = True
        self._cut()

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def close(self) -> None:
        await self.refuse()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if self._silent:
                await reader.read()
                return
            host, port = self.destination.split(":")
            there = await asyncio.open_connection(host, int(port))
            self._writers.add(there[1])
            await asyncio.gather(_pass(reader, there[1]), _pass(there[0], writer))
        finally:
            writer.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        return
    finally:
        writer.close()


@pytest.fixture
async def way() -> AsyncIterator[Way]:
    made = Way(settled("127.0.0.1:0"))
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def system(way: Way, tmp_path) -> AsyncIterator[System]:
    settings = SETTINGS | {"PAIDUP_STRIPE_API_BASE": f"http://{way.address}"}
    url = f"sqlite+aiosqlite:///{tmp_path / 'paidup.db'}"
    stack = _Stack(database_url=url, settings=settings, way=way)
    async with running(stack) as started:
        yield started


class _Stack(Stack):
    """A stack whose service reaches the emulator by a way of the test's."""

    def __init__(self, *, way: Way, **more) -> None:
        super().__init__(**more)
        self._way = way

    async def _run_emulator(self):
        process = await super()._run_emulator()
        self._way.destination = process.address
        return process


async def _begin(system: System, way: Way, fault: str) -> None:
    if fault == "refused":
        await way.refuse()
    elif fault == "silent":
        way.be_silent()
    else:
        await system.stack.emulator.faults({"api": {"status": 500, "next": 1_000_000}})


async def _end(system: System, way: Way) -> None:
    await way.open()
    await system.stack.emulator.faults({})


@pytest.mark.parametrize("fault", FAULTS)
async def test_while_stripe_is_away_checks_follow_its_events_and_then_all_is_read(
    system: System, way: Way, fault: str
) -> None:
    await system.shop.subscribe()
    await system.shop.until("ACTIVE")
    portal = await system.shop.client.create_portal_session(account_id=system.shop.account)
    # An event of the second of the last read would wait for another read: see Rule 1.
    await system.stack.emulator.advance(hours=1)

    await _begin(system, way, fault)
    held = await check(system, "api_access")
    code = await _sell(system)
    await system.stack.emulator.portal(portal.session_id, "cancel", immediately=True)
    await system.shop.until("CANCELED")
    await until(lambda: _shows_on_metrics(system))
    await until(lambda: _is_not_even_tried(system))
    ready = await system.of_service("paidup_ready")
    await _end(system, way)

    await until(lambda: _nobody_waits(system))
    await until(lambda: _sells(system))
    assert held.entitled
    assert code is grpc.StatusCode.UNAVAILABLE
    assert ready == 1


async def _sell(system: System) -> grpc.StatusCode:
    request = pb.CreateCheckoutSessionRequest(
        account_id="other", line_items=[pb.LineItem(price="basic_monthly")], return_url=RETURN_URL
    )
    return await system.stub.CreateCheckoutSession(request, timeout=60).code()


async def _sells(system: System) -> bool:
    return await _sell(system) is grpc.StatusCode.OK


async def _shows_on_metrics(system: System) -> bool:
    """Tell whether what PaidupStripeFailing and -UrgentTouchOld look at has come about."""
    failed = await system.of_service("paidup_stripe_calls_total", outcome="outage")
    return failed > 0 and await system.of_service("paidup_touched") > 0


async def _is_not_even_tried(system: System) -> bool:
    """Try to sell; tell whether what PaidupStripeBreakerOpen looks at has come about."""
    await _sell(system)
    refused = "refused_by_breaker"
    return await system.of_service("paidup_stripe_calls_total", outcome=refused) > 0


async def _nobody_waits(system: System) -> bool:
    return await system.of_service("paidup_touched") == 0
