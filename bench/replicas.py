"""A webhook until its answer, and until another replica decides by it: PostgreSQL, two services."""

import asyncio
import time
from collections.abc import Sequence

import grpc

from bench import stacks
from bench.storm import Storm, event, storm
from bench.tables import Sizes, Table, percentile
from demo.postgres import Postgres, a_postgres
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1 import billing_service_pb2_grpc

COLUMNS = ("events", "from the sending until", "p50 ms", "p99 ms", "longest ms")
WITHIN = 30


async def measure(sizes: Sizes) -> Table:
    table = Table(columns=COLUMNS)
    with a_postgres() as server:
        told = await _told(server, sizes.purchases)
        async with storm(server.url(await server.create())) as running:
            await running.make_customers(sizes.purchases)
            running.stack.settings = {"PAIDUP_METRICS_LISTEN": "127.0.0.1:0"}
            other = await running.stack.start_service()
            async with grpc.aio.insecure_channel(other.address) as channel:
                stub = billing_service_pb2_grpc.BillingServiceStub(channel)
                measured = [
                    await _one(running, stub, number, customer)
                    for number, customer in enumerate(running.subscriptions)
                ]
    _add(table, "bare PostgreSQL: a row and a NOTIFY are heard elsewhere", told)
    answered, entitled = zip(*measured, strict=True)
    _add(table, "its answer, after the commit", answered)
    _add(table, "the other replica entitles", entitled)
    return table


def _add(table: Table, name: str, took: Sequence[float]) -> None:
    figures = (percentile(took, mark) for mark in (50, 99, 100))
    table.add(str(len(took)), name, *(f"{figure:.1f}" for figure in figures))


async def _told(server: Postgres, times: int) -> list[float]:
    """Commit a row and tell of it, without anything of ours; give each time in milliseconds."""
    name = await server.create()
    writer, listener = await server.connect(name), await server.connect(name)
    heard = asyncio.Event()
    await writer.execute("CREATE TABLE news (content text)")
    await listener.add_listener("news", lambda *_: heard.set())
    took = []
    for _ in range(times):
        heard.clear()
        began = time.perf_counter()
        await writer.execute("INSERT INTO news VALUES ('one more')")
        await writer.execute("NOTIFY news")
        async with asyncio.timeout(WITHIN):
            await heard.wait()
        took.append((time.perf_counter() - began) * 1000)
    await asyncio.gather(writer.close(), listener.close())
    return took


async def _one(
    running: Storm, stub: billing_service_pb2_grpc.BillingServiceStub, number: int, customer: str
) -> tuple[float, float]:
    """Tell of one customer's subscription; give both times in milliseconds."""
    request = pb.CheckEntitlementRequest(account_id=f"storm-{number}", feature=stacks.FEATURE)
    before = await stub.CheckEntitlement(request, wait_for_ready=True, timeout=WITHIN)
    if before.entitlement.entitled:
        raise RuntimeError("It was known already, so nothing can be measured.")
    body = event(running.subscriptions[customer], f"evt_{customer}")
    began = time.perf_counter()
    delivering = asyncio.create_task(_deliver(running, customer, body, began))
    async with asyncio.timeout(WITHIN):
        while not (await stub.CheckEntitlement(request, timeout=WITHIN)).entitlement.entitled:
            await asyncio.sleep(0.001)
    visible = (time.perf_counter() - began) * 1000
    return await delivering, visible


async def _deliver(running: Storm, customer: str, body: bytes, began: float) -> float:
    await running.deliver(customer, body)
    return (time.perf_counter() - began) * 1000
