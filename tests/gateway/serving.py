"""A gateway in the test's own process, behind real HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from tests.gateway.clients import Stripe
from webhook_gateway import server
from webhook_gateway.gateway import Gateway


@asynccontextmanager
async def serving(gateway: Gateway, session: aiohttp.ClientSession) -> AsyncIterator[Stripe]:
    runner = server._runner(gateway.application)
    await server._listen(runner, "127.0.0.1:0", gateway.connections)
    yield Stripe(session, server._url(runner, "127.0.0.1:0"))
    await runner.cleanup()
    await gateway.inbox.settled()
