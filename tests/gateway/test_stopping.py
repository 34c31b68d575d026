"""How the gateway stops, seen from within."""

import asyncio

import aiohttp
import pytest

from tests.gateway.clients import Stripe, an_event
from tests.gateway.databases import SharedDatabase
from webhook_gateway import server
from webhook_gateway.gateway import Gateway


async def test_it_does_not_wait_for_ever(
    gateway: Gateway,
    database: SharedDatabase,
    session: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(server, "DRAIN_TIMEOUT", 0.2)
    runner = server._runner(gateway.application)
    await server._listen(runner, "127.0.0.1:0", gateway.connections)
    stripe = Stripe(session, server._url(runner, "127.0.0.1:0"))
    async with database.held():
        waiting = asyncio.create_task(stripe.deliver(an_event()))
        await stripe.until_waiting(1)

        await asyncio.wait_for(server._drain(gateway, runner, drain_seconds=0), 3)

    assert "webhook_gateway_gave_up_waiting" in caplog.text
    await asyncio.gather(waiting, return_exceptions=True)
    await gateway.inbox.settled()
