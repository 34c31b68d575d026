"""How the service leaves, seen by those who call it: each step, in its order, with calls in flight.

How the gateway leaves is in `tests/gateway/test_leaving.py`.
"""

import asyncio
import re
import shutil
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import aiohttp
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import paidup
from billing_service import background
from demo.stack import Stack
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1 import billing_service_pb2_grpc
from tests.leaks import assert_nothing_leaked
from tests.service.shop import EMAIL, Shop

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
STARTED = re.compile(
    r'^grpc_server_started_total\{.*"CreateCheckoutSession".*\} 1\.0$', re.MULTILINE
)


@asynccontextmanager
async def a_stack(folder: Path, *, drain_seconds: float, workers: int = 1) -> AsyncIterator[Stack]:
    url = f"sqlite+aiosqlite:///{folder / 'paidup.db'}"
    settings = {"PAIDUP_DRAIN_SECONDS": str(drain_seconds)}
    async with Stack(database_url=url, settings=settings, workers=workers) as running:
        yield running
        # It would drain as long; how it leaves is not asked here.
        await running.gateway.kill()
    assert_nothing_leaked(running)


class Caller:
    """Everything that a caller can have open while the service leaves."""

    def __init__(self, stack: Stack, channel: grpc.aio.Channel, client: paidup.BillingClient):
        self.stack = stack
        self.stub = billing_service_pb2_grpc.BillingServiceStub(channel)
        self.health = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        self.shop = Shop(stack=stack, client=client, account="acme", email=EMAIL)

    async def until_health_is(self, status: int) -> None:
        while (await self.health.read()).status != status:
            pass

    async def checkout_in_flight(self) -> asyncio.Task:
        """Begin a checkout that waits for Stripe; return once the service has it."""
        call = asyncio.create_task(self.shop.checkout())
        async with asyncio.timeout(20):
            while not STARTED.search(await self._told("metrics")):
                await asyncio.sleep(0.01)
        return call

    async def readiness(self) -> str:
        return await self._told("readyz")

    async def check(self) -> None:
        """Ask once, with no client that would repeat what was refused."""
        request = pb.CheckEntitlementRequest(account_id="acme", feature="api_access")
        await self.stub.CheckEntitlement(request, timeout=10)

    async def goodbye(self, stream: grpc.aio.UnaryStreamCall) -> pb.WatchEntitlementsResponse:
        """Read on to the last message; the stream ends after it."""
        last = None
        while (message := await stream.read()) is not grpc.aio.EOF:
            last = message
        assert last is not None
        return last

    async def _told(self, what: str) -> str:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{self.stack.metrics_address}/{what}") as answer,
        ):
            return await answer.text()


@asynccontextmanager
async def a_caller(stack: Stack) -> AsyncIterator[Caller]:
    address = stack.service.address
    async with (
        grpc.aio.insecure_channel(address) as channel,
        paidup.BillingClient(address) as client,
    ):
        await client.wait_for_ready()
        caller = Caller(stack, channel, client)
        await caller.until_health_is(SERVING)
        yield caller


def _holders(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "paidup.db")) as database:
        rows = database.execute("SELECT holder FROM lease WHERE name = ?", (background.LEASE,))
        return [holder for (holder,) in rows]


async def _until_leading(folder: Path) -> None:
    async with asyncio.timeout(20):
        while not _holders(folder):
            await asyncio.sleep(0.02)


async def test_it_leaves_in_order(tmp_path):
    async with a_stack(tmp_path, drain_seconds=1) as stack, a_caller(stack) as caller:
        await _until_leading(tmp_path)
        watch = caller.stub.WatchEntitlements(pb.WatchEntitlementsRequest(account_ids=["acme"]))
        await watch.read()
        await stack.emulator.faults({"api": {"delay_seconds": 2}})
        checkout = await caller.checkout_in_flight()

        stack.service.process.send_signal(signal.SIGTERM)

        await caller.until_health_is(NOT_SERVING)
        assert "draining" in await caller.readiness()
        # Whoever has not heard of it yet is still answered.
        await caller.check()
        assert _holders(tmp_path)
        goodbye = await caller.goodbye(watch)
        assert goodbye.HasField("goodbye")
        assert await watch.code() == grpc.StatusCode.OK
        # Another replica can go on by now, before the last call has been answered.
        assert not _holders(tmp_path)
        assert not checkout.done()
        assert stack.service.alive
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await caller.check()
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
        session = await checkout
        assert await stack.service.ended() == 0
        assert session.session_id in _sessions_in_the_file_alone(tmp_path)


def _sessions_in_the_file_alone(folder: Path) -> set[str]:
    """Read what is there without the write-ahead log; the gateway still has the file open."""
    alone = folder / "alone.db"
    shutil.copy(folder / "paidup.db", alone)
    with closing(sqlite3.connect(alone)) as database:
        return {each for (each,) in database.execute("SELECT session_id FROM checkout_session")}


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_second_signal_hurries(tmp_path, workers):
    async with (
        a_stack(tmp_path, drain_seconds=60, workers=workers) as stack,
        a_caller(stack) as caller,
    ):
        await stack.emulator.faults({"api": {"delay_seconds": 60}})
        checkout = await caller.checkout_in_flight()
        stack.service.process.send_signal(signal.SIGTERM)
        await caller.until_health_is(NOT_SERVING)

        stack.service.process.send_signal(signal.SIGINT)

        # Far less than the drain, or than what is on its way.
        assert await stack.service.ended() == 0
        with pytest.raises(paidup.PaidupError):
            await checkout
        assert not [line for line in stack.log if "Traceback" in line]
