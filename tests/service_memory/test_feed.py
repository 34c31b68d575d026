"""The feed is followed by itself, whatever happens to the database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from billing_service import feed as feed_module
from billing_service.feed import Feed
from billing_service.memory import Memory
from subscription_state import request_ids
from subscription_state.database import Database
from subscription_state.errors import StateUnavailable
from tests.builders import a_subscription
from tests.service_memory.clock import Clock
from tests.state import steps

LONGEST = 10


@pytest.fixture
def memory() -> Memory:
    return Memory(most=10)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def feed(database: Database, memory: Memory, clock: Clock) -> AsyncIterator[Feed]:
    made = Feed(database, memory, clock=clock.monotonic)
    yield made
    await made.close()


@asynccontextmanager
async def following(feed: Feed) -> AsyncIterator[None]:
    task = asyncio.create_task(feed.run())
    try:
        async with asyncio.timeout(LONGEST):
            yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_another_commits_is_forgotten_soon(
    feed: Feed, memory: Memory, database: Database
) -> None:
    async with following(feed):
        await feed.read(["acct_1"])
        assert memory.view(["acct_1"]) is not None

        await steps.verify(database, a_subscription(), account_id="acct_1")

        while memory.view(["acct_1"]) is not None:
            await asyncio.sleep(0.01)
    view = await feed.read(["acct_1"])
    assert view.accounts["acct_1"].state.subscriptions == (a_subscription(),)


async def test_looking_again_and_again_keeps_it_fresh(feed: Feed, clock: Clock) -> None:
    async with following(feed):
        await feed.read()
        clock.seconds += 6
        while not feed.is_fresh():
            await asyncio.sleep(0.01)
    clock.seconds += 6
    assert not feed.is_fresh()


async def test_a_hint_saves_the_wait(database: Database, memory: Memory) -> None:
    told = asyncio.Event()
    paused: list[float] = []

    async def pause(seconds: float) -> None:
        paused.append(seconds)
        await told.wait()

    feed = Feed(database, memory, pause=pause)
    async with following(feed):
        while not paused:
            await asyncio.sleep(0.01)
        await feed.read(["acct_1"])
        await steps.verify(database, a_subscription(), account_id="acct_1")
        told.set()

        while memory.view(["acct_1"]) is not None:
            await asyncio.sleep(0.01)
    await feed.close()
    assert set(paused) == {feed_module.INTERVAL}


async def test_it_is_followed_again_when_the_database_comes_back(
    feed: Feed, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "PAUSE", 0.01)
    rename = 'ALTER TABLE "{}" RENAME TO "{}"'

    async def run(statement: str) -> None:
        await database.write(lambda connection: connection.execute(text(statement)))

    await run(rename.format("head", "gone"))
    async with following(feed):
        with pytest.raises((StateUnavailable, ProgrammingError)):
            await feed.read()
        await run(rename.format("gone", "head"))
        while not feed.is_fresh():
            await asyncio.sleep(0.01)


async def test_who_asks_at_once_shares_a_read(feed: Feed) -> None:
    views = await asyncio.gather(*(feed.read([f"acct_{n % 2}"]) for n in range(50)))

    assert len({id(view) for view in views}) == 1


async def test_a_shared_read_is_in_nobodys_name(feed: Feed) -> None:
    named: list[str] = []
    feed.listen(lambda _: named.append(request_ids.current()))

    async def call(request_id: str) -> None:
        request_ids.use(request_id)
        await feed.read(["acct_1"])

    await asyncio.gather(call("shop-1"), call("shop-2"))

    assert named == [""]


async def test_a_caller_that_gives_up_leaves_the_others_their_read(feed: Feed) -> None:
    reading = [asyncio.create_task(feed.read(["acct_1"])) for _ in range(2)]
    await asyncio.sleep(0)
    reading[0].cancel()

    assert "acct_1" in (await reading[1]).accounts


async def test_many_accounts_are_read_in_portions(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "MOST", 3)
    asked = [[f"acct_{n}", f"acct_{n}_too"] for n in range(4)]

    views = await asyncio.gather(*(feed.read(each) for each in asked))

    assert len({id(view) for view in views}) == 4
    assert all(set(ids) == set(view.accounts) for ids, view in zip(asked, views, strict=True))


async def test_a_database_that_takes_too_long_is_not_waited_for(
    database: Database, memory: Memory, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_arguments: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(feed_module.accounts, "load", never)
    impatient = Feed(database, memory, bound=timedelta(seconds=0.2), clock=clock.monotonic)

    with pytest.raises(StateUnavailable):
        await impatient.read(["acct_1"])
    assert not impatient.is_fresh()


async def test_at_its_end_nobody_is_left_waiting(feed: Feed) -> None:
    reading = asyncio.create_task(feed.read(["acct_1"]))
    await asyncio.sleep(0)

    await feed.close()

    with pytest.raises(asyncio.CancelledError):
        await reading
