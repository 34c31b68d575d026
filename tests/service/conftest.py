"""The whole system as real processes, once on SQLite and once on PostgreSQL."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

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


@dataclass(frozen=True, kw_only=True)
class Running:
    """One system, and connections to it."""

    database_url: str
    stack: Stack
    client: paidup.BillingClient
    channel: grpc.aio.Channel
    #: The official SDK, looking at Stripe past our service.
    at_stripe: stripe.StripeClient


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kept(postgres) -> AsyncIterator[tuple[AsyncExitStack, dict[str, Running]]]:
    """Keep a system for each database to the end: to start one takes longer than most tests."""
    # Its server is asked for here, as it cannot be started within a running loop.
    running: dict[str, Running] = {}
    async with AsyncExitStack() as opened:
        yield opened, running
    for each in running.values():
        assert_nothing_leaked(each.stack)


@pytest_asyncio.fixture(loop_scope="session", params=["sqlite", "postgresql"])
async def running(request, kept) -> Running:
    opened, known = kept
    if request.param not in known:
        known[request.param] = await _start(opened, await _database_url(request))
    return known[request.param]


async def _database_url(request) -> str:
    if request.param == "sqlite":
        folder = request.getfixturevalue("tmp_path_factory").mktemp("state")
        return f"sqlite+aiosqlite:///{folder / 'paidup.db'}"
    server = request.getfixturevalue("postgres")  # has been started with `kept`
    return server.url(await server.create())


async def _start(opened: AsyncExitStack, database_url: str) -> Running:
    settings = {"PAIDUP_PORTAL_RETURN_URL": "http://localhost:4242/account"}
    stack = await opened.enter_async_context(Stack(database_url=database_url, settings=settings))
    client = await opened.enter_async_context(paidup.BillingClient(stack.service.address))
    await client.wait_for_ready()
    channel = grpc.aio.insecure_channel(stack.service.address)
    http = stripe.AIOHTTPClient()
    opened.push_async_callback(http.close_async)
    return Running(
        database_url=database_url,
        stack=stack,
        client=client,
        channel=await opened.enter_async_context(channel),
        at_stripe=stripe.StripeClient(
            API_KEY, base_addresses={"api": stack.emulator.url}, http_client=http
        ),
    )


@pytest.fixture
def database_url(running) -> str:
    return running.database_url


@pytest.fixture
def stack(running) -> Stack:
    return running.stack


@pytest.fixture
def client(running) -> paidup.BillingClient:
    return running.client


@pytest.fixture
def channel(running) -> grpc.aio.Channel:
    return running.channel


@pytest.fixture
def at_stripe(running) -> stripe.StripeClient:
    return running.at_stripe


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
