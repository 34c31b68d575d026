"""A proxy before Stripe that notes when each call came, and what it asked for."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One call to Stripe."""

    at: float
    path: str
    #: Whose subscriptions were listed; empty for other calls.
    customer: str


@dataclass
class Recorder:
    """Passes everything on."""

    target: str
    url: str = ""
    calls: list[Call] = field(default_factory=list)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Recorder"]:
        """Listen on a free port until the block ends."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        runner = web.AppRunner(app, access_log=None)
        async with aiohttp.ClientSession(auto_decompress=False) as self._session:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            try:
                yield self
            finally:
                await runner.cleanup()

    def most_within(self, seconds: float) -> int:
        """Tell how many calls came within any stretch of so many seconds."""
        times = sorted(call.at for call in self.calls)
        return max((sum(at <= t < at + seconds for t in times) for at in times), default=0)

    async def _pass_on(self, request: web.Request) -> web.Response:
        lists = request.path == "/v1/subscriptions" and request.method == "GET"
        customer = request.query.get("customer", "") if lists else ""
        self.calls.append(Call(at=time.monotonic(), path=request.path, customer=customer))
        headers = {name: value for name, value in request.headers.items() if name != "Host"}
        async with self._session.request(
            request.method,
            self.target + request.path_qs,
            headers=headers,
            data=await request.read(),
        ) as answer:
            kept = {
                name: answer.headers[name]
                for name in ("Content-Type", "Date", "Request-Id", "Retry-After")
                if name in answer.headers
            }
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)
