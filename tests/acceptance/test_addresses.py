"""Where an e-mail address goes: to Stripe, into bodies of events, and into one answer."""

import aiohttp
import grpc
import pytest
from sqlalchemy import select

import paidup
from demo.stack import Stack
from subscription_state import key_files
from subscription_state.database import Database
from subscription_state.tables import metadata
from tests.service.administration import Administration
from tests.service.shop import Shop

NAME = "grace.hopper"
EMAIL = f"{NAME}+paidup@mail.example.net"
BAD_CARD = "4000000000000002"
FAILS_LATER = "4000000000000341"


async def _live(stack: Stack) -> str:
    """Play a subscription's life, and what operators do about it; give the address as told."""
    async with (
        paidup.BillingClient(stack.service.address) as client,
        grpc.aio.insecure_channel(stack.service.address) as channel,
    ):
        await client.wait_for_ready()
        shop = Shop(stack=stack, client=client, account="acme", email=EMAIL)
        told = await _buy(shop)
        await _administer(shop, Administration(channel))
        await shop.portal("payment_method", number=FAILS_LATER)
        await stack.emulator.advance(days=32)
        await shop.until("GRACE_PERIOD")
        await shop.portal("cancel", immediately=True)
        await shop.until("CANCELED")
    await stack.emulator.drain()
    return told


async def _buy(shop: Shop) -> str:
    with pytest.raises(paidup.InvalidRequest):
        await shop.checkout(customer_email=f"{EMAIL}\n")
    session = await shop.checkout(customer_email=EMAIL)
    await shop.pay(session.session_id, number=BAD_CARD)
    await shop.pay(session.session_id)
    await shop.until("ACTIVE")
    with pytest.raises(paidup.AlreadySubscribed):
        await shop.checkout(customer_email=EMAIL)
    return (await shop.status(session.session_id)).customer_email


async def _administer(shop: Shop, administration: Administration) -> None:
    await shop.stack.emulator.drain()
    granted = await administration.grant(shop.account, "reports")
    await administration.revoke(granted.grant.grant_id)
    await administration.refresh_account(shop.account)
    await administration.explain(shop.account, feature="api_access")
    events = (await administration.list_events(account_id=shop.account, page_size=100)).events
    for event in events:
        await administration.replay_event(event.event_id)
    entries = (await administration.list_audit_entries(account_id=shop.account)).entries
    assert NAME not in f"{events}{entries}"


async def _columns_that_hold_it(url: str) -> set[str]:
    database = Database.at(url)
    found = set()
    async with database.read() as connection:
        for table in metadata.sorted_tables:
            for row in (await connection.execute(select(table))).mappings():
                found |= {f"{table.name}.{name}" for name, value in row.items() if _holds(value)}
    await database.close()
    return found


def _holds(value: object) -> bool:
    return NAME.encode() in value if isinstance(value, bytes) else NAME in str(value)


async def _metrics(stack: Stack) -> str:
    texts = []
    async with aiohttp.ClientSession() as session:
        for address in (stack.metrics_address, stack.gateway.address):
            async with session.get(f"http://{address}/metrics") as response:
                texts.append(await response.text())
    assert all("paidup_" in text for text in texts)
    return "".join(texts)


@pytest.mark.parametrize("encrypted", [False, True])
async def test_an_address_is_kept_in_bodies_of_events_alone(tmp_path, encrypted):
    key_files.make(tmp_path / "key")
    settings = {"PAIDUP_ENCRYPTION_KEY_FILES": str(tmp_path / "key")} if encrypted else {}
    url = f"sqlite+aiosqlite:///{tmp_path / 'paidup.db'}"
    async with Stack(database_url=url, settings=settings) as stack:
        told = await _live(stack)
        measured = await _metrics(stack)

    assert told == EMAIL
    assert await _columns_that_hold_it(url) == (set() if encrypted else {"event.body"})
    assert NAME not in measured
    assert stack.log
    assert [line for line in stack.log if NAME in line] == []
