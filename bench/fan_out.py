"""How soon all streams of a process hear of a change, beside an echo that tells as many."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import grpc

from bench import stacks
from bench.echo import TOLD
from bench.load import own_channel
from bench.tables import Sizes, Table, percentile, spread
from paidup.v1 import admin_service_pb2, admin_service_pb2_grpc, billing_service_pb2_grpc
from paidup.v1 import billing_service_pb2 as pb

COLUMNS = ("streams", "", "first ms", "half of all ms", "last ms")
CHANNELS = 10
WITHIN = 30

Change = Callable[[], Awaitable[object]]


async def measure(sizes: Sizes) -> Table:
    """Watch one account by all streams, and change it again and again."""
    table = Table(columns=COLUMNS)
    async with stacks.sqlite() as stack, stacks.process("echo", ["bench.echo"]) as echo:
        for name, address in (("echo", echo.address), ("WatchEntitlements", stack.service.address)):
            async with grpc.aio.insecure_channel(address) as channel:
                change = _grant if name != "echo" else _tell
                watching = _Watching(address, sizes.watchers)
                delays = await watching.delays(lambda: change(channel), sizes.changes)  # noqa: B023 - called before the next round
            marks = [[percentile(one, mark) for one in delays] for mark in (0, 50, 100)]
            table.add(f"{sizes.watchers:,}", name, *(spread(each, ".1f") for each in marks))
    return table


async def _tell(channel: grpc.aio.Channel) -> None:
    request = pb.CheckEntitlementRequest(account_id=TOLD, feature=stacks.FEATURE)
    await billing_service_pb2_grpc.BillingServiceStub(channel).CheckEntitlement(request)


async def _grant(channel: grpc.aio.Channel) -> None:
    request = admin_service_pb2.CreateGrantRequest(
        account_id=stacks.ACCOUNT, feature=stacks.FEATURE, note="bench"
    )
    await admin_service_pb2_grpc.AdminServiceStub(channel).CreateGrant(request, timeout=WITHIN)


class _Watching:
    """Streams that note when each heard of the account."""

    def __init__(self, address: str, count: int) -> None:
        self._address = address
        self._count = count
        self._begun = 0
        self._heard: list[float] = []
        self._news = asyncio.Event()

    async def delays(self, change: Change, changes: int) -> list[list[float]]:
        """Give for each change how many milliseconds after it was asked for each heard of it."""
        channels = [own_channel(self._address) for _ in range(CHANNELS)]
        streams = [
            asyncio.create_task(self._watch(channels[number % CHANNELS]))
            for number in range(self._count)
        ]
        try:
            await self._until(lambda: self._begun >= self._count)
            return [await self._one(change) for _ in range(changes)]
        finally:
            for each in streams:
                each.cancel()
            await asyncio.gather(*streams, return_exceptions=True)
            for channel in channels:
                await channel.close()

    async def _one(self, change: Change) -> list[float]:
        self._heard.clear()
        began = time.perf_counter()
        await change()
        await self._until(lambda: len(self._heard) >= self._count)
        return [(at - began) * 1000 for at in self._heard]

    async def _watch(self, channel: grpc.aio.Channel) -> None:
        stub = billing_service_pb2_grpc.BillingServiceStub(channel)
        request = pb.WatchEntitlementsRequest(account_ids=[stacks.ACCOUNT])
        begun = False
        async for message in stub.WatchEntitlements(request, wait_for_ready=True):
            if message.WhichOneof("kind") == "account" and begun:
                self._heard.append(time.perf_counter())
                self._news.set()
            elif message.WhichOneof("kind") is None and not begun:
                begun = True
                self._begun += 1
                self._news.set()

    async def _until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN):
            while not reached():
                self._news.clear()
                await self._news.wait()
