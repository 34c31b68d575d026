"""This version beside a later one: its processes on a schema that is ahead of them."""

import asyncio

import aiohttp
import pytest

import paidup
from demo.stack import Stack
from demo.story import Story
from subscription_state import migrate
from subscription_state.database import Database
from subscription_state.schema_history import Phase
from tests.leaks import assert_nothing_leaked
from tests.postgres import Postgres
from tests.state.future import ADDING, TAKING

LOST = "with future_2 it lost what this version needs"


async def _until_unready(address: str) -> None:
    async with asyncio.timeout(30), aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"http://{address}/readyz") as answer:
                if answer.status == 503 and LOST in await answer.text():
                    return
            await asyncio.sleep(0.1)


@pytest.mark.timeout(240)
async def test_the_whole_story_on_the_schema_of_a_later_version_until_it_takes_away(
    postgres: Postgres,
):
    url = postgres.url(await postgres.create())
    database = Database.at(url)
    await migrate.upgrade(database)
    await migrate.upgrade(database, Phase.BEFORE, history=ADDING)
    told = []
    # It begins with this version's own `migrate`, which leaves the newer schema alone.
    async with Stack(database_url=url) as stack:
        async with paidup.BillingClient(stack.service.address) as client:
            await client.wait_for_ready()
            await Story(stack, client, lambda step, _: told.append(step)).play()

        await migrate.upgrade(database, Phase.AFTER, history=TAKING)

        await _until_unready(stack.metrics_address)
        await _until_unready(stack.gateway.address)
    await database.close()
    assert told[-1] == "canceled"
    assert_nothing_leaked(stack)
