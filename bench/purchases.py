"""From a payment until a check says yes: asked of the service, and in the caller's process."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import paidup
from bench import stacks
from bench.tables import Sizes, Table, percentile
from demo.stack import Stack
from paidup import EntitlementCache, LineItem

COLUMNS = ("purchases", "from the payment until", "p50 ms", "p90 ms", "p99 ms", "longest ms")
MARKS = (50, 90, 99, 100)
WITHIN = 30
#: Between two looks.
PAUSE = 0.002


async def measure(sizes: Sizes) -> Table:
    table = Table(columns=COLUMNS)
    async with (
        stacks.sqlite() as stack,
        paidup.BillingClient(stack.service.address) as client,
        EntitlementCache(stack.service.address) as cache,
    ):
        await client.wait_for_ready()
        await cache.wait_until_ready()
        took = [await _buy(stack, client, cache, f"buyer-{n}") for n in range(sizes.purchases)]
    names = ("the form's answer", "CheckEntitlement entitles", "EntitlementCache entitles")
    for name, each in zip(names, zip(*took, strict=True), strict=True):
        marks = (f"{percentile(each, mark):.1f}" for mark in MARKS)
        table.add(str(len(each)), name, *marks)
    return table


async def _buy(
    stack: Stack, client: paidup.BillingClient, cache: EntitlementCache, account_id: str
) -> tuple[float, float, float]:
    """Give when Stripe's form answered and when either check did, in milliseconds."""

    async def asked() -> bool:
        return await client.entitled(account_id, feature=stacks.FEATURE)

    async def remembered() -> bool:
        return cache.entitled(account_id, feature=stacks.FEATURE)

    session = await client.create_checkout_session(
        account_id=account_id,
        line_items=[LineItem(price="basic_monthly")],
        return_url=stacks.RETURN_URL,
    )
    if await asked() or await remembered():
        raise RuntimeError("It was entitled already, so nothing can be measured.")
    began = time.perf_counter()
    paying = stack.emulator.pay(session.session_id, number=stacks.CARD, email="ada@example.com")
    return (
        *await asyncio.gather(
            _until(_done(paying), began), _until(asked, began), _until(remembered, began)
        ),
    )


def _done(work: Awaitable[object]) -> Callable[[], Awaitable[bool]]:
    async def does() -> bool:
        await work
        return True

    return does


async def _until(reached: Callable[[], Awaitable[bool]], began: float) -> float:
    async with asyncio.timeout(WITHIN):
        while not await reached():
            await asyncio.sleep(PAUSE)
    return (time.perf_counter() - began) * 1000
