"""A storefront as a process, with everything behind it, and people who talk HTTP to it."""

import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from demo.stack import Stack
from tests.storefront.visitor import Visitor


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("stack")
    stack = Stack(database_url=f"sqlite+aiosqlite:///{folder / 'paidup.db'}")
    async with stack:
        yield stack


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def storefront(stack: Stack) -> str:
    return f"http://{(await stack.start_storefront('127.0.0.1:0')).address}"


@pytest_asyncio.fixture(loop_scope="session")
async def visitors(storefront: str) -> AsyncIterator[Callable[[], Visitor]]:
    """Make strangers, each with cookies of their own."""
    opened: list[aiohttp.ClientSession] = []

    def stranger(url: str = storefront) -> Visitor:
        web = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        opened.append(web)
        return Visitor(web=web, url=url, email=f"{uuid.uuid4().hex[:8]}@example.com")

    yield stranger
    for web in opened:
        await web.close()


@pytest_asyncio.fixture(loop_scope="session")
async def stranger(visitors: Callable[[], Visitor]) -> Visitor:
    return visitors()


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(visitors: Callable[[], Visitor]) -> Visitor:
    """Give somebody who is signed in."""
    visitor = visitors()
    await visitor.sign_in()
    return visitor
