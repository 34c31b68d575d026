import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from aiohttp import web

from tests.emulator.checked import CheckedClient
from tests.emulator.shop import Receiver, Shop, client


@pytest.fixture(scope="session")
def emulator() -> Iterator[str]:
    """Start the emulator as its own process, as users do, and give its address."""
    command = [sys.executable, "-m", "stripe_emulator", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
        process.terminate()


@pytest.fixture
async def shop(emulator: str) -> AsyncIterator[Shop]:
    """Give an empty emulator, and hold all its answers and events to the SDK's types."""
    found: list[str] = []
    http_client = CheckedClient(found)
    async with aiohttp.ClientSession() as web_session:
        shop = Shop(emulator, client(emulator, http_client), web_session, found)
        await shop.control("/reset")
        yield shop
        await shop.control("/faults", {}, method="PUT")
        await shop.events()
    await http_client.close_async()
    assert found == []


@pytest.fixture
async def receiver(shop: Shop) -> AsyncIterator[Receiver]:
    """Listen for the emulator's webhooks, signed with the secret that it gave out."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/webhooks", receiver.receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/webhooks"
    endpoint = await shop.stripe.webhook_endpoints.create_async(
        {"url": receiver.url, "enabled_events": ["*"]}
    )
    receiver.secret = endpoint.secret or ""
    yield receiver
    await runner.cleanup()
