"""The callers' caches follow the real service, through purchases, cancellations and deaths."""

from pathlib import Path

import pytest

from clients.python.tests.cache_twins import CACHES, Cache, until
from demo.stack import Addresses, Stack, settled
from paidup import BillingClient, CacheState, LineItem, Source

ACCOUNT = "acme"
PAGE = "http://localhost:4242/return?session_id={CHECKOUT_SESSION_ID}"


@pytest.fixture
async def stack(tmp_path: Path):
    url = f"sqlite+aiosqlite:///{tmp_path / 'paidup.db'}"
    addresses = Addresses(grpc=settled("127.0.0.1:0"))
    async with Stack(database_url=url, addresses=addresses) as stack:
        yield stack


async def buy(stack: Stack, client: BillingClient) -> None:
    session = await client.create_checkout_session(
        account_id=ACCOUNT, line_items=[LineItem(price="basic_monthly")], return_url=PAGE
    )
    await stack.emulator.pay(session.session_id, number="4242424242424242", email="a@b.example")


async def cancel(stack: Stack, client: BillingClient) -> None:
    portal = await client.create_portal_session(
        account_id=ACCOUNT, return_url="http://localhost:4242/account"
    )
    await stack.emulator.portal(portal.session_id, "cancel", immediately=True)


def is_from_memory(cache: Cache, *, entitled: bool) -> bool:
    decision = cache.peek(ACCOUNT, feature="api_access")
    return (decision.entitled, decision.source) == (entitled, Source.MEMORY)


@pytest.mark.parametrize("cache_class", CACHES.values(), ids=CACHES)
@pytest.mark.parametrize("accounts", [[ACCOUNT], None], ids=["named", "asked about"])
async def test_memory_hears_of_purchase_and_cancellation(
    stack: Stack, cache_class: type, accounts: list[str] | None
):
    address = stack.service.address
    async with BillingClient(address) as client, cache_class(address, accounts=accounts) as cache:
        await cache.wait_until_ready()
        assert not await cache.check(ACCOUNT, feature="api_access")

        await buy(stack, client)
        await until(lambda: is_from_memory(cache, entitled=True))

        await cancel(stack, client)
        await until(lambda: is_from_memory(cache, entitled=False))


@pytest.mark.parametrize("cache_class", CACHES.values(), ids=CACHES)
async def test_what_happens_while_the_service_is_dead_is_heard_afterwards(
    stack: Stack, cache_class: type
):
    address = stack.service.address
    async with BillingClient(address) as client, cache_class(address) as cache:
        await cache.wait_until_ready()
        await buy(stack, client)
        # The check may ask too early; then the stream tells.
        await cache.check(ACCOUNT, feature="api_access")
        await until(lambda: is_from_memory(cache, entitled=True))
        portal = await client.create_portal_session(
            account_id=ACCOUNT, return_url="http://localhost:4242/account"
        )

        await stack.service.kill()
        await stack.emulator.portal(portal.session_id, "cancel", immediately=True)
        await stack.emulator.drain()
        assert cache.entitled(ACCOUNT, feature="api_access"), "memory bridges a short absence"
        stack.service = await stack.start_service()

        await until(lambda: is_from_memory(cache, entitled=False))
        assert cache.state is CacheState.READY
