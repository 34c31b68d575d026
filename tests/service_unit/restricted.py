"""A Stripe that refuses some of what it is asked, before the emulator that answers the rest."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

REFUSAL = {
    "error": {
        "type": "invalid_request_error",
        "message": "The provided key does not have the required permissions for this endpoint.",
    }
}
INVALID_KEY = {"error": {"type": "invalid_request_error", "message": "Invalid API Key provided."}}
#: Of the answer's own; the rest is passed on.
OURS = {"content-length", "transfer-encoding", "content-encoding", "connection", "date"}


@dataclass
class Restricted:
    """Knows which paths are refused, and what else an answer says."""

    url: str = ""
    forbidden: set[str] = field(default_factory=set)
    #: No key is known at all.
    keyless: bool = False
    headers: dict[str, str] = field(default_factory=dict)


@asynccontextmanager
async def restricted(behind: str) -> AsyncIterator[Restricted]:
    told = Restricted()
    async with aiohttp.ClientSession(behind) as session:

        async def handle(request: web.Request) -> web.Response:
            if told.keyless:
                return web.json_response(INVALID_KEY, status=401)
            if request.path in told.forbidden:
                return web.json_response(REFUSAL, status=403)
            headers = {"Authorization": request.headers["Authorization"]}
            for name in ("Content-Type", "Stripe-Version", "Idempotency-Key"):
                if name in request.headers:
                    headers[name] = request.headers[name]
            async with session.request(
                request.method, request.rel_url, data=await request.read(), headers=headers
            ) as answer:
                passed = {k: v for k, v in answer.headers.items() if k.lower() not in OURS}
                date = {"Date": answer.headers["Date"]}
                return web.Response(
                    status=answer.status,
                    body=await answer.read(),
                    headers=passed | date | told.headers,
                )

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        told.url = f"http://{host}:{port}"
        try:
            yield told
        finally:
            await runner.cleanup()
