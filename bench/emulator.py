"""
How fast the Stripe emulator is, and how much it holds: objects, events, memory.

Each run has an emulator of its own, as a process. The load is in this one, with the
endpoint that takes the events, so on a small machine they share its processors.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from bench.tables import Sizes, Table, spread
from demo.processes import Process

KEY = {"Authorization": "Bearer sk_test_bench"}
TIMEOUT = aiohttp.ClientTimeout(total=600)
CALLERS = 16
MEBIBYTE = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    objects_a_second: float
    events_a_second: float
    #: Mebibytes of the whole process, and those that the subscriptions added.
    resident: float
    added: float


class Bench:
    def __init__(self, process: Process, web_session: aiohttp.ClientSession) -> None:
        self._pid = process.process.pid
        self._url = f"http://{process.address}"
        self._web = web_session

    async def create(self, path: str, form: dict[str, str]) -> Any:
        url = f"{self._url}/v1/{path}"
        async with self._web.post(url, data=form, headers=KEY) as response:
            response.raise_for_status()
            return await response.json()

    async def control(self, method: str, path: str, body: dict[str, Any]) -> None:
        url = f"{self._url}/_emulator/{path}"
        async with self._web.request(method, url, json=body) as response:
            response.raise_for_status()

    def resident(self) -> float:
        status = Path(f"/proc/{self._pid}/status").read_text("ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / MEBIBYTE

    async def objects_a_second(self, number: int) -> float:
        began = time.perf_counter()
        await _spread(number, lambda: self.create("customers", {"name": "Ada"}))
        return number / (time.perf_counter() - began)

    async def events_a_second(self, number: int) -> float:
        """Hold so many events back, then see how fast they go out."""
        async with _endpoint() as url:
            hook = {"url": url, "enabled_events[0]": "*"}
            endpoint = await self.create("webhook_endpoints", hook)
            await self.control("PUT", "faults", {"webhooks": {"blocked": True}})
            await _spread(number, lambda: self.create("customers", {"name": "Ada"}))
            began = time.perf_counter()
            await self.control("PUT", "faults", {})
            await self.control("POST", "deliveries/drain", {"timeout": 300})
            took = time.perf_counter() - began
            await self.create(f"webhook_endpoints/{endpoint['id']}", {"disabled": "true"})
        return number / took

    async def subscribe(self, number: int) -> None:
        product = await self.create("products", {"name": "Pro"})
        terms = {"product": product["id"], "currency": "usd", "unit_amount": "1500"}
        price = await self.create("prices", {**terms, "recurring[interval]": "month"})

        async def subscribe() -> None:
            card = {"payment_method": "pm_card_visa"}
            default = {"invoice_settings[default_payment_method]": "pm_card_visa"}
            customer = await self.create("customers", {**card, **default})
            order = {"customer": customer["id"], "items[0][price]": price["id"]}
            await self.create("subscriptions", order)

        await _spread(number, subscribe)


async def _spread(number: int, do: Any) -> None:
    left = itertools.count()

    async def caller() -> None:
        while next(left) < number:
            await do()

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


async def _bare_a_second(number: int) -> float:
    """Send as many forms to a handler that takes them and does nothing."""
    async with _endpoint() as url, aiohttp.ClientSession(timeout=TIMEOUT) as web_session:

        async def create() -> None:
            async with web_session.post(url, data={"name": "Ada"}, headers=KEY) as response:
                await response.read()

        began = time.perf_counter()
        await _spread(number, create)
        return number / (time.perf_counter() - began)


@asynccontextmanager
async def _endpoint() -> AsyncIterator[str]:
    async def take(request: web.Request) -> web.Response:
        await request.post()
        return web.Response()

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


async def _run(objects: int, subscriptions: int) -> Run:
    arguments = ["stripe_emulator", "--listen", "127.0.0.1:0"]
    process = await Process.start("emulator", arguments, {})
    try:
        async with aiohttp.ClientSession(timeout=TIMEOUT) as web_session:
            bench = Bench(process, web_session)
            created = await bench.objects_a_second(objects)
            delivered = await bench.events_a_second(objects)
            await bench.control("POST", "reset", {})
            before = bench.resident()
            await bench.subscribe(subscriptions)
            after = bench.resident()
    finally:
        await process.stop()
    return Run(
        objects_a_second=created,
        events_a_second=delivered,
        resident=after,
        added=after - before,
    )


async def measure(sizes: Sizes) -> Table:
    """Measure customers created, events delivered, and the memory of subscriptions."""
    results = [await _run(sizes.objects, sizes.subscriptions) for _ in range(sizes.runs)]
    table = Table(columns=("", "median of the runs (least to most)"))
    bare = [await _bare_a_second(sizes.objects) for _ in range(sizes.runs)]
    table.add("requests a second of a bare aiohttp handler", spread(bare))
    table.add("objects created a second", spread([one.objects_a_second for one in results]))
    table.add("events delivered a second", spread([one.events_a_second for one in results]))
    held = f"{sizes.subscriptions:,} subscriptions"
    table.add(f"MiB with {held}", spread([one.resident for one in results]))
    table.add("MiB that these added", spread([one.added for one in results]))
    return table
