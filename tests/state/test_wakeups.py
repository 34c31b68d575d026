"""Hints that something changed: heard at once where they can be, missed without harm elsewhere.

No test looks at a clock: a wait that would end by itself only after an hour has
ended, so it was told.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from subscription_state import wakeups
from subscription_state.database import Database
from subscription_state.wakeups import Announcer, Listener, Waiter
from tests.postgres import Postgres

AN_HOUR = 3600.0
SESSIONS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'paidup_listen'"


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture
async def database(postgresql_url: str) -> AsyncIterator[Database]:
    opened = Database.at(postgresql_url)
    yield opened
    await opened.close()


@asynccontextmanager
async def _listening(url: str) -> AsyncIterator[tuple[Listener, Waiter]]:
    listener = Listener(url)
    waiter = listener.waiter()
    task = asyncio.create_task(listener.run())
    try:
        await _until(lambda: listener.listening)
        # That it listens now is worth a look, once.
        assert await waiter.wait(AN_HOUR)
        yield listener, waiter
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


WRITER = """
import asyncio, sys
from subscription_state import head
from subscription_state.database import Database
from subscription_state.wakeups import Announcer

async def write():
    database = Database.at(sys.argv[1])
    announcer = Announcer(database)
    await database.write(head.draw)
    announcer.changed()
    await announcer.close()
    await database.close()

asyncio.run(write())
"""


async def test_another_process_tells_what_it_has_committed(
    postgresql_url: str, database: Database
) -> None:
    async with _listening(postgresql_url) as (_, waiter):
        waiting = asyncio.create_task(waiter.wait(AN_HOUR))
        writer = await asyncio.create_subprocess_exec(sys.executable, "-c", WRITER, postgresql_url)

        assert await writer.wait() == 0
        assert await asyncio.wait_for(waiting, 10)


async def test_all_who_wait_are_told_and_nothing_is_missed_between_waits(
    postgresql_url: str, database: Database
) -> None:
    async with _listening(postgresql_url) as (listener, waiter):
        other = listener.waiter()
        announcer = Announcer(database)

        announcer.changed()
        await _until(waiter._told.is_set)

        assert await waiter.wait(AN_HOUR)
        assert await other.wait(AN_HOUR)
        assert not await waiter.wait(0.001)
        await announcer.close()


async def test_a_crowd_of_changes_is_told_by_few_hints_and_the_last_is_among_them(
    postgresql_url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, release = [], asyncio.Event()

    async def notify(channel: str) -> None:
        told.append(channel)
        await release.wait()

    monkeypatch.setattr(database, "notify", notify)
    announcer = Announcer(database)
    announcer.changed()
    await _until(lambda: len(told) == 1)
    for _ in range(100):
        announcer.changed()
    await asyncio.sleep(0)
    in_flight = len(told)
    release.set()
    await _until(lambda: len(told) == 2 and announcer._telling.done())

    assert in_flight == 1
    assert told == [wakeups.CHANNEL] * 2


async def test_a_connection_that_is_cut_is_made_again(
    postgresql_url: str, database: Database, postgres: Postgres
) -> None:
    async with _listening(postgresql_url) as (listener, waiter):
        [(cut,)] = await postgres.run(SESSIONS)
        await postgres.run(f"SELECT pg_terminate_backend({cut}, 5000)")
        await _until(lambda: not listener.listening)
        await _until(lambda: listener.listening)

        # What was told in between could not be heard: it is worth a look.
        assert await waiter.wait(AN_HOUR)
        announcer = Announcer(database)
        announcer.changed()
        assert await waiter.wait(AN_HOUR)
        await announcer.close()


async def test_where_nobody_can_be_heard_a_wait_is_a_pause(
    caplog: pytest.LogCaptureFixture,
) -> None:
    listener = Listener("postgresql+asyncpg://nobody:hidden@127.0.0.1:1/paidup")
    waiter = listener.waiter()
    task = asyncio.create_task(listener.run())
    await _until(lambda: "not_listening" in caplog.messages)

    assert not await waiter.wait(0.01)
    assert not task.done()
    assert "hidden" not in caplog.text
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_without_an_address_there_is_nothing_to_run() -> None:
    listener = Listener(None)

    await asyncio.wait_for(listener.run(), 10)

    assert not listener.listening
    assert not await listener.waiter().wait(0.01)


async def test_a_hint_that_cannot_be_sent_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    announcer = Announcer(Database.at("postgresql+asyncpg://nobody@127.0.0.1:1/paidup"))

    announcer.changed()
    await announcer.close()

    assert announcer._telling.exception() is None
    assert not caplog.records, "nothing that anybody would have to look at"
