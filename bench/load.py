"""Load on one gRPC server from our Python, and what came of it."""

import asyncio
import itertools
import math
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import grpc

from bench.tables import percentile
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1 import billing_service_pb2_grpc

REQUEST = pb.CheckEntitlementRequest(account_id="acme", feature="api_access")

Call = Callable[..., grpc.aio.UnaryUnaryCall]


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run of a load."""

    calls_a_second: float
    #: Milliseconds.
    p50: float
    p99: float


async def run(
    address: str,
    *,
    concurrency: int,
    seconds: float,
    method: str = "CheckEntitlement",
    requests: Iterable[object] = (REQUEST,),
    connections: int = 1,
) -> Run:
    """Send calls one after the other from each of `concurrency` callers, for so long.

    They send the requests in turn, again and again; of an endless iterator, those that come next.
    """
    async with _calls(address, method, connections) as calls:
        until = time.perf_counter() + seconds
        endless = requests if isinstance(requests, Iterator) else itertools.cycle(requests)
        callers = [
            _caller(calls[number % connections], endless, until) for number in range(concurrency)
        ]
        return await _measured(callers)


async def each(
    address: str, *, concurrency: int, requests: Sequence[object], method: str = "CheckEntitlement"
) -> Run:
    """Send each of the requests once."""
    async with _calls(address, method, 1) as (call,):
        left = iter(requests)
        return await _measured([_caller(call, left, math.inf) for _ in range(concurrency)])


async def see_entitled(address: str, request: pb.CheckEntitlementRequest) -> None:
    """Raise where the account is not entitled: what is measured would be something else."""
    async with own_channel(address) as channel:
        stub = billing_service_pb2_grpc.BillingServiceStub(channel)
        answer = await stub.CheckEntitlement(request, wait_for_ready=True, timeout=30)
    if not answer.entitlement.entitled:
        raise RuntimeError(f"{request.account_id} is not entitled.")


def own_channel(address: str) -> grpc.aio.Channel:
    """Open a channel with a connection of its own: the kernel may give each to another process."""
    return grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])


@asynccontextmanager
async def _calls(address: str, method: str, connections: int) -> AsyncIterator[list[Call]]:
    async with AsyncExitStack() as channels:
        stubs = []
        for _ in range(connections):
            channel = await channels.enter_async_context(own_channel(address))
            stubs.append(billing_service_pb2_grpc.BillingServiceStub(channel))
            # A check, whatever is measured: it makes the connection.
            await stubs[-1].CheckEntitlement(REQUEST, wait_for_ready=True, timeout=10)
        yield [getattr(stub, method) for stub in stubs]


async def _measured(callers: Sequence[Coroutine[None, None, list[float]]]) -> Run:
    began = time.perf_counter()
    took = [one for taken in await asyncio.gather(*callers) for one in taken]
    elapsed = time.perf_counter() - began
    return Run(
        calls_a_second=len(took) / elapsed, p50=percentile(took, 50), p99=percentile(took, 99)
    )


async def _caller(call: Call, requests: Iterator[object], until: float) -> list[float]:
    took: list[float] = []
    for request in requests:
        began = time.perf_counter()
        if began >= until and took:
            break
        await call(request, timeout=30)
        took.append((time.perf_counter() - began) * 1000)
    return took
