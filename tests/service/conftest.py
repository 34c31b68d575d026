"""The whole system as real processes, once on SQLite and once on PostgreSQL."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio
import stripe

import paidup
from demo.stack import API_KEY, Stack
from subscription_state import touches
from subscription_state.database import Database
from tests.leaks import assert_nothing_leaked
from tests.service.administration import Administration
from tests.service.shop import EMAIL, LONGEST_WAIT, Shop


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def database_url(request, tmp_path_factory):
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('state') / 'paidup.db'}"
    server = request.getfixturevalue("postgres")
    return server.url(asyncio.run(server.create()))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(database_url) -> AsyncIterator[Stack]:
    settings = {"PAIDUP_PORTAL_RETURN_URL": "http://localhost:4242/account"}
    async with Stack(database_url=database_url, settings=settings) as running:
        yield running
    assert_nothing_leaked(running)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client(stack) -> AsyncIterator[paidup.BillingClient]:
    async with paidup.BillingClient(stack.service.address) as client:
        await client.wait_for_ready()
        yield client


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def channel(stack, client) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(stack.service.address) as channel:
        yield channel


@pytest_asyncio.fixture(loop_scope="session")
async def settled(stack, database_url):
    """Wait until every event has come and every touched customer has been read."""
    database = Database.at(database_url)

    async def waiting() -> int:
        async with database.read() as connection:
            backlog = await touches.backlog(connection)
            return backlog.urgent.customers + backlog.plain.customers

    async def settle() -> None:
        await stack.emulator.drain()
        async with asyncio.timeout(LONGEST_WAIT):
            while await waiting():
                await asyncio.sleep(0.05)

    yield settle
    await database.close()


@pytest.fixture
def administration(channel) -> Administration:
    return Administration(channel)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def at_stripe(stack) -> AsyncIterator[stripe.StripeClient]:
    """The official SDK, looking at Stripe past our service."""
    http = stripe.AIOHTTPClient()
    yield stripe.StripeClient(API_KEY, base_addresses={"api": stack.emulator.url}, http_client=http)
    await http.close_async()


_numbers = itertools.count(1)


@pytest.fixture
def account(request) -> str:
    return f"account-{next(_numbers)}"


@pytest.fixture
def shop(stack, client, account) -> Shop:
    return Shop(stack=stack, client=client, account=account, email=EMAIL)


@pytest_asyncio.fixture(loop_scope="session")
async def faults(stack):
    """Stripe's bad days; good ones again after the test."""
    yield stack.emulator.faults
    await stack.emulator.faults({"webhooks": {"blocked": False}, "api": {}})
    await stack.emulator.drain()
