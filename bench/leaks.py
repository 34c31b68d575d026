"""What a process' memory grows by over very many calls and streams that were cut off."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import grpc

from bench import load, stacks
from bench.tables import Sizes, Table
from demo.processes import Process
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1 import billing_service_pb2_grpc

COLUMNS = ("", "server", "how many", "MiB before", "MiB that they added", "bytes each")
CALLERS = 16
#: Of the calls, one in so many is cancelled by the caller, and one is refused.
CANCELLED = 20
REFUSED = 21
REFUSED_REQUEST = pb.CheckEntitlementRequest(account_id="acme")
BATCH = pb.BatchCheckEntitlementsRequest(
    checks=[pb.BatchCheckEntitlementsRequest.Check(account_id="acme", feature=stacks.FEATURE)] * 10
)
WATCH = pb.WatchEntitlementsRequest(account_ids=["acme"])
#: What the first calls take is kept for the next: so many are sent before any is counted.
WARM_UP = 10
TIMEOUT = 20

One = Callable[[billing_service_pb2_grpc.BillingServiceStub, int], Awaitable[None]]


async def measure(sizes: Sizes) -> Table:
    table = Table(columns=COLUMNS)
    async with stacks.with_payer() as stack, stacks.process("echo", ["bench.echo"]) as echo:
        for name, one, count in (
            ("calls", _call, sizes.leak_calls),
            ("streams that are cancelled", _stream, sizes.leak_streams),
        ):
            for server, process in (("echo", echo), ("service", stack.service)):
                before, added = await _growth(process, one, count)
                mebibytes = (f"{each / 2**20:,.1f}" for each in (before, added))
                table.add(name, server, f"{count:,}", *mebibytes, f"{added / count:,.1f}")
    return table


async def _growth(process: Process, one: One, count: int) -> tuple[float, float]:
    """Give the resident memory after the warm-up, and what it grew by since, in bytes."""
    async with load.own_channel(process.address) as channel:
        stub = billing_service_pb2_grpc.BillingServiceStub(channel)
        await _many(stub, one, count // WARM_UP)
        before = stacks.resident(process.process.pid)
        await _many(stub, one, count)
        return before, stacks.resident(process.process.pid) - before


async def _many(stub: billing_service_pb2_grpc.BillingServiceStub, one: One, count: int) -> None:
    numbers = itertools.count()

    async def caller() -> None:
        while (number := next(numbers)) < count:
            await one(stub, number)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


async def _call(stub: billing_service_pb2_grpc.BillingServiceStub, number: int) -> None:
    """Check, mostly; now and then in a batch, refused, or cancelled on its way."""
    if number % CANCELLED == 0:
        await _cancelled(stub.CheckEntitlement(load.REQUEST, timeout=TIMEOUT))
    elif number % REFUSED == 0:
        await _refused(stub.CheckEntitlement(REFUSED_REQUEST, timeout=TIMEOUT))
    elif number % 2:
        await stub.BatchCheckEntitlements(BATCH, timeout=TIMEOUT)
    else:
        await stub.CheckEntitlement(load.REQUEST, timeout=TIMEOUT)


async def _cancelled(call: grpc.aio.UnaryUnaryCall) -> None:
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)


async def _refused(call: grpc.aio.UnaryUnaryCall) -> None:
    # The echo refuses nothing.
    await asyncio.gather(call, return_exceptions=True)


async def _stream(stub: billing_service_pb2_grpc.BillingServiceStub, _number: int) -> None:
    stream = stub.WatchEntitlements(WATCH, timeout=TIMEOUT)
    await stream.read()
    stream.cancel()
