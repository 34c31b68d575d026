"""From a payment until a check says yes: asked of the service, and in the caller's process."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web

import paidup
from bench import stacks
from bench.tables import Sizes, Table, percentile
from demo.stack import API_KEY, Stack
from paidup import EntitlementCache, LineItem

COLUMNS = ("purchases", "from the payment until", "p50 ms", "p90 ms", "p99 ms", "longest ms")
MARKS = (50, 90, 99, 100)
WITHIN = 30
EMAIL = "ada@example.com"
ENDS = (
    "a bare endpoint has the event",
    "the form's answer",
    "CheckEntitlement entitles",
    "EntitlementCache entitles",
)
#: Purchases one right after the other would wait for the budget of calls to Stripe.
UNHINDERED = {"PAIDUP_STRIPE_CALLS_PER_SECOND": "1000"}
#: Between two looks.
PAUSE = 0.002


async def measure(sizes: Sizes) -> Table:
    table = Table(columns=COLUMNS)
    async with (
        stacks.sqlite(**UNHINDERED) as stack,
        paidup.BillingClient(stack.service.address) as client,
        EntitlementCache(stack.service.address) as cache,
    ):
        await client.wait_for_ready()
        await cache.wait_until_ready()
        async with _bare_endpoint(stack) as heard:
            buyer = Buyer(stack=stack, client=client, cache=cache, heard=heard)
            took = [await buyer.buy(f"buyer-{n}") for n in range(sizes.purchases)]
    for name, each in zip(ENDS, zip(*took, strict=True), strict=True):
        marks = (f"{percentile(each, mark):.1f}" for mark in MARKS)
        table.add(str(len(each)), name, *marks)
    return table


@asynccontextmanager
async def _bare_endpoint(stack: Stack) -> AsyncIterator[asyncio.Event]:
    """Have the emulator tell an endpoint that does nothing else; what is set tells that it did."""
    heard = asyncio.Event()

    async def take(request: web.Request) -> web.Response:
        await request.read()
        heard.set()
        return web.Response()

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        await _tell(stack, f"http://127.0.0.1:{runner.addresses[0][1]}/")
        yield heard
    finally:
        await runner.cleanup()


async def _tell(stack: Stack, url: str) -> None:
    form = {"url": url, "enabled_events[0]": "customer.subscription.created"}
    key = {"Authorization": f"Bearer {API_KEY}"}
    async with (
        aiohttp.ClientSession(stack.emulator.url, headers=key) as session,
        session.post("/v1/webhook_endpoints", data=form) as answer,
    ):
        answer.raise_for_status()


@dataclass(frozen=True, kw_only=True)
class Buyer:
    """Who pays, and those who see that it was paid."""

    stack: Stack
    client: paidup.BillingClient
    cache: EntitlementCache
    heard: asyncio.Event

    async def buy(self, account_id: str) -> tuple[float, ...]:
        """Pay; give when each of `ENDS` came, in milliseconds."""

        async def told() -> bool:
            return self.heard.is_set()

        async def asked() -> bool:
            return await self.client.entitled(account_id, feature=stacks.FEATURE)

        async def remembered() -> bool:
            return self.cache.entitled(account_id, feature=stacks.FEATURE)

        session_id = await self._session(account_id)
        if await asked() or await remembered():
            raise RuntimeError("It was entitled already, so nothing can be measured.")
        self.heard.clear()
        began = time.perf_counter()
        paid = _done(self.stack.emulator.pay(session_id, number=stacks.CARD, email=EMAIL))
        ends = (_until(each, began) for each in (told, paid, asked, remembered))
        return tuple(await asyncio.gather(*ends))

    async def _session(self, account_id: str) -> str:
        session = await self.client.create_checkout_session(
            account_id=account_id,
            line_items=[LineItem(price="basic_monthly")],
            return_url=stacks.RETURN_URL,
        )
        return session.session_id


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
