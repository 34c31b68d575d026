"""A browser, shops and what they need, each real; without a Chromium all is skipped."""

import shutil
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from demo.stack import Stack, settled
from tests.browser.customer import Customer
from tests.browser.merchant import Merchant
from tests.emulator.checked import CheckedClient
from tests.emulator.shop import Shop, client

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
#: Milliseconds; the machine may be busy with other tests.
PATIENCE = 10_000


@pytest.fixture(scope="session")
def chromium() -> str:
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("there is no Chromium on this machine")
    return found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """Open a window, and see that no page breaks its own policy or its scripts."""
    context = await browser.new_context(
        locale="en-US", viewport={"width": 1200, "height": 860}, reduced_motion="reduce"
    )
    context.set_default_timeout(PATIENCE)
    page = await context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: (
            complaints.append(message.text) if "Content Security Policy" in message.text else None
        ),
    )
    yield page
    await context.close()
    assert complaints == []


@pytest.fixture(scope="session")
def emulator() -> Iterator[str]:
    command = [sys.executable, "-m", "stripe_emulator", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
        process.terminate()


@pytest_asyncio.fixture(loop_scope="session")
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


@pytest_asyncio.fixture(loop_scope="session")
async def merchant(shop: Shop) -> AsyncIterator[Merchant]:
    merchant = Merchant(shop)
    await merchant.start()
    yield merchant
    await merchant.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("stack")
    stack = Stack(database_url=f"sqlite+aiosqlite:///{folder / 'paidup.db'}")
    async with stack:
        yield stack


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def storefront(stack: Stack) -> str:
    """Start a storefront, and give its address: another site than the emulator's, as in life."""
    listen = settled("127.0.0.1:0")
    url = f"http://localhost:{listen.rpartition(':')[2]}"
    await stack.start_storefront(listen, STOREFRONT_PUBLIC_URL=url)
    return url


@pytest_asyncio.fixture(loop_scope="session")
async def customer(page: Page, stack: Stack, storefront: str) -> AsyncIterator[Customer]:
    """Give somebody whom the shop has never seen."""
    email = f"{uuid.uuid4().hex[:8]}@example.com"
    yield Customer(page=page, stack=stack, url=storefront, email=email)
    await stack.emulator.faults({})
