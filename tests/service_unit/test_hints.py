"""The background on PostgreSQL: told that a customer was touched, it does not wait for its poll."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from billing_service import background
from billing_service.background import Background
from billing_service.grants import Grants, Wish
from billing_service.mirror import Mirror
from billing_service.verifier import Verifier
from subscription_state import head, migrate, touches
from subscription_state.database import Database
from subscription_state.wakeups import Announcer, Listener
from tests.service_unit.scripted_stripe import Answer, listed

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def url(postgres):
    name = await postgres.create()
    yield postgres.url(name)
    await postgres.drop(name)


@pytest_asyncio.fixture(loop_scope="session")
async def database(url):
    opened = Database.at(url)
    await migrate.upgrade(opened)
    yield opened
    await opened.close()


async def _until(condition) -> None:
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.sleep(0.01)


async def test_a_touch_of_another_process_is_served_before_the_next_poll(
    url, database, stripe, script, monkeypatch
):
    monkeypatch.setattr(background, "POLL", 3600)
    script.on("GET", "/v1/products", listed())
    script.on("GET", "/v1/subscriptions", listed())
    script.on("GET", "/v1/customers/cus_1", Answer({"id": "cus_1"}))
    listener, verifier = Listener(url), Verifier(database, stripe)
    mirror = Mirror(database, stripe, interval=timedelta(hours=1))
    waiter, pauses = listener.waiter(), []
    wait = waiter.wait

    def counted(seconds: float) -> Awaitable[bool]:
        pauses.append(seconds)
        return wait(seconds)

    monkeypatch.setattr(waiter, "wait", counted)
    working = Background(database, verifier, mirror, waiter=waiter)
    tasks = [asyncio.create_task(each.run()) for each in (listener, working)]
    gateway = Database.at(url)

    async def idle() -> bool:
        # Once it looked because it began to listen, nothing but a hint ends its pause.
        return listener.listening and len(pauses) >= 2 and not waiter._told.is_set()

    async def touch(connection) -> None:
        ticket = await head.draw(connection)
        now = datetime.now(UTC)
        await touches.touch(connection, "cus_1", ticket=ticket, urgent=True, now=now)

    async def served() -> bool:
        async with database.read() as connection:
            return await touches.backlog(connection) == touches.Backlog()

    await _until(idle)
    announcer = Announcer(gateway)
    await gateway.write(touch)
    announcer.changed()
    try:
        await _until(served)
    finally:
        await announcer.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await gateway.close()

    assert set(pauses) == {3600}


class Heard:
    """Counts how often it was told that something changed."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


async def test_whoever_follows_is_told_of_grants(database):
    heard = Heard()
    grants = Grants(database, changed=heard)
    wish = Wish(account_id="acme", feature="reports", expire_time=None, note="a favour")

    granted = await grants.create(wish, creator="somebody")
    after_the_grant = heard.times
    await grants.revoke(granted.grant.grant_id)

    assert (after_the_grant, heard.times) == (1, 2)


async def test_whoever_follows_is_told_of_an_edited_catalogue_and_not_of_an_unchanged_one(
    database, stripe, script
):
    heard = Heard()
    product = {"id": "prod_1", "object": "product", "name": "One", "metadata": {}}
    feature = {"id": "pf_1", "entitlement_feature": {"lookup_key": "reports"}}
    script.on("GET", "/v1/products", listed(product))
    script.on("GET", "/v1/products/prod_1/features", listed(feature))
    mirror = Mirror(database, stripe, interval=timedelta(hours=1), changed=heard)

    await mirror.refresh()
    after_the_edit = heard.times
    await mirror.refresh()

    assert (after_the_edit, heard.times) == (1, 1)
