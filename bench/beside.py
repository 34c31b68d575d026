"""What callers feel while a storm of webhooks is worked off, beside the quiet before it."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import paidup
from bench.storm import Storm, storm
from bench.tables import Sizes, Table, percentile
from paidup import LineItem

RETURN_URL = "http://localhost:4242/return?session_id={CHECKOUT_SESSION_ID}"
#: Between calls: one caller, as people come, and not a load.
CHECK_PAUSE = 0.02
CHECKOUT_PAUSE = 0.5

Call = Callable[[int], Awaitable[object]]


async def measure(sizes: Sizes) -> Table:
    """Measure checks and checkouts in quiet and in a storm."""
    customers, events = sizes.storm_customers, sizes.storm_events
    with tempfile.TemporaryDirectory(prefix="paidup-bench-") as folder:
        async with storm(f"sqlite+aiosqlite:///{Path(folder) / 'paidup.db'}") as running:
            await running.make_customers(customers)
            async with paidup.BillingClient(running.stack.service.address) as client:
                await client.wait_for_ready()
                quiet = await _felt(client, "quiet", asyncio.sleep(sizes.quiet))
                running.recorder.calls.clear()
                began = time.perf_counter()
                sending = asyncio.create_task(running.send(events))
                over = asyncio.create_task(_over(running, sending, customers))
                stormy = await _felt(client, "storm", over)
                answered = sending.result()
    table = _table(quiet, stormy)
    table.notes.append(
        f"{answered.count(200)} of {events} events answered with 200 about {customers} "
        f"customers, all read after {time.perf_counter() - began:.1f} s by "
        f"{len(running.reads())} reads, {running.needless_reads()} of them needless; "
        f"at most {running.recorder.most_within(1.0)} calls to Stripe within a second."
    )
    return table


async def _over(running: Storm, sending: "asyncio.Task[list[int]]", customers: int) -> None:
    await sending
    await running.until_over(within=60 + customers)


async def _felt(
    client: paidup.BillingClient, when: str, meanwhile: Awaitable[object]
) -> dict[str, list[float]]:
    """Call one after the other until something is over; give how long each call took."""

    async def check(_number: int) -> None:
        await client.check_entitlement(account_id="storm-0", feature="api_access")

    async def checkout(number: int) -> None:
        await client.create_checkout_session(
            account_id=f"buyer-{when}-{number}",
            line_items=[LineItem(price="basic_monthly")],
            return_url=RETURN_URL,
        )

    took: dict[str, list[float]] = {"CheckEntitlement": [], "CreateCheckoutSession": []}
    callers = [
        asyncio.create_task(_call(check, CHECK_PAUSE, took["CheckEntitlement"])),
        asyncio.create_task(_call(checkout, CHECKOUT_PAUSE, took["CreateCheckoutSession"])),
    ]
    await meanwhile
    for caller in callers:
        caller.cancel()
    for ended in await asyncio.gather(*callers, return_exceptions=True):
        if not isinstance(ended, asyncio.CancelledError) and isinstance(ended, Exception):
            raise ended
    return took


async def _call(call: Call, pause: float, took: list[float]) -> None:
    number = 0
    while True:
        began = time.perf_counter()
        await call(number)
        took.append(time.perf_counter() - began)
        number += 1
        await asyncio.sleep(pause)


def _table(quiet: dict[str, list[float]], stormy: dict[str, list[float]]) -> Table:
    table = Table(columns=("one caller", "", "calls", "p50 ms", "p99 ms"))
    for name, calm in quiet.items():
        for when, took in (("quiet", calm), ("in the storm", stormy[name])):
            p50, p99 = (f"{percentile(took, mark) * 1000:.1f}" for mark in (50, 99))
            table.add(name if when == "quiet" else "", when, str(len(took)), p50, p99)
    return table
