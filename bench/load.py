"""Load on one server, and what came of it."""

import asyncio
import statistics
import time
from dataclasses import dataclass

import grpc

from paidup.v1 import billing_service_pb2 as pb
from paidup.v1 import billing_service_pb2_grpc

REQUEST = pb.CheckEntitlementRequest(account_id="acme", feature="api_access")


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run of a load."""

    calls_a_second: float
    #: Milliseconds.
    p50: float
    p99: float


async def run(address: str, *, concurrency: int, seconds: float) -> Run:
    """Send checks one after the other from each of `concurrency` callers."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub = billing_service_pb2_grpc.BillingServiceStub(channel)
        await stub.CheckEntitlement(REQUEST, wait_for_ready=True, timeout=10)
        began = time.perf_counter()
        callers = [_caller(stub, began + seconds) for _ in range(concurrency)]
        took = [each for taken in await asyncio.gather(*callers) for each in taken]
        elapsed = time.perf_counter() - began
    cuts = statistics.quantiles(took, n=100)
    return Run(calls_a_second=len(took) / elapsed, p50=cuts[49] * 1000, p99=cuts[98] * 1000)


async def _caller(stub: billing_service_pb2_grpc.BillingServiceStub, until: float) -> list[float]:
    took = []
    while (began := time.perf_counter()) < until:
        await stub.CheckEntitlement(REQUEST, timeout=10)
        took.append(time.perf_counter() - began)
    return took
