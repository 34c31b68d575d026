"""The webhooks' peer: a bare aiohttp handler that checks signatures as the gateway does.

`python -m bench.signed SECRET`
"""

import asyncio
import sys
from datetime import UTC, datetime

import uvloop
from aiohttp import web

from webhook_gateway import signature


def application(secret: bytes) -> web.Application:
    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        found = signature.parse(request.headers.getall("Stripe-Signature"))
        signature.verify(found, body, [secret])
        signature.verify_time(found, datetime.now(UTC))
        return web.Response()

    app = web.Application()
    app.router.add_post("/webhooks/stripe", take)
    return app


async def serve(secret: str) -> None:
    runner = web.AppRunner(application(secret.encode()), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"signed listening on 127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
