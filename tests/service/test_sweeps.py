"""Webhooks that Stripe never delivers, and the sweep that finds what they would have told."""

import asyncio
from datetime import timedelta

import pytest
import pytest_asyncio

from billing_service.event_sweep import EventSweep
from billing_service.stripe_api import LiveStripe
from demo.stack import API_KEY
from subscription_state import touches
from subscription_state.database import Database
from tests.service.shop import LONGEST_WAIT

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOST = {"webhooks": {"blocked": True, "drop": True}}


@pytest_asyncio.fixture(loop_scope="session")
async def database(database_url):
    opened = Database.at(database_url)
    yield opened
    await opened.close()


@pytest_asyncio.fixture(loop_scope="session")
async def sweep(stack, database):
    stripe = LiveStripe(API_KEY, api_base=stack.emulator.url)
    yield EventSweep(
        database, stripe, interval=timedelta(minutes=5), on_its_way=timedelta(seconds=-5)
    )
    await stripe.close()


async def _nothing_is_left_to_verify(database) -> None:
    async with asyncio.timeout(LONGEST_WAIT):
        while True:
            async with database.read() as connection:
                if await touches.backlog(connection) == touches.Backlog():
                    return
            await asyncio.sleep(0.05)


async def test_a_cancellation_whose_webhook_was_lost_is_found(
    shop, faults, at_stripe, database, sweep
):
    subscription_id = await shop.subscribe("basic_monthly")
    await shop.stack.emulator.drain()
    await _nothing_is_left_to_verify(database)
    await faults(LOST)
    await at_stripe.v1.subscriptions.cancel_async(subscription_id)
    assert await shop.reason() == "ACTIVE", "nobody told"

    swept = await sweep.run()

    assert swept.unseen >= 1
    await shop.until("CANCELED")


async def test_a_subscription_whose_every_webhook_was_lost_is_found(shop, faults, at_stripe, sweep):
    session = await shop.checkout("basic_monthly")
    await faults(LOST)
    assert (await shop.pay(session.session_id))["outcome"] == "complete"

    await sweep.run()

    await shop.until("ACTIVE")
