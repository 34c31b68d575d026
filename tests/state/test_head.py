"""The counter that revisions and tickets come from, and the feed that is followed by it."""

import asyncio

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import customers, head
from subscription_state.database import Database
from subscription_state.tables import account, change
from tests.builders import NOW

WRITERS, WRITES = 8, 12


async def _current(database: Database) -> head.Revision:
    async with database.read() as connection:
        return await head.current(connection)


async def test_a_number_is_never_drawn_twice(database: Database) -> None:
    before = await _current(database)

    drawn = await asyncio.gather(*(database.write(head.draw) for _ in range(24)))

    assert sorted(drawn) == list(range(before.number + 1, before.number + 25))
    assert (await _current(database)).number == max(drawn)


async def test_a_number_of_a_write_that_failed_is_given_to_the_next(database: Database) -> None:
    async def fail(connection: AsyncConnection) -> None:
        await head.draw(connection)
        raise LookupError

    before = await _current(database)
    with pytest.raises(LookupError):
        await database.write(fail)

    assert await database.write(head.draw) == before.number + 1


async def test_one_transaction_may_draw_several(database: Database) -> None:
    async def draw_three(connection: AsyncConnection) -> list[int]:
        return [await head.draw(connection) for _ in range(3)]

    first, second, third = await database.write(draw_three)

    assert (second, third) == (first + 1, first + 2)


async def test_a_new_history_keeps_the_number_and_refuses_the_old_epoch(
    database: Database,
) -> None:
    before = await _current(database)

    await database.write(head.start_history)

    after = await _current(database)
    assert after.number == before.number
    assert after.epoch != before.epoch


async def _write_changes(database: Database, writer: int) -> list[int]:
    async def work(connection: AsyncConnection) -> int:
        account_id = f"acct_{writer}"
        await customers.lock(connection, [f"cus_{writer}"])
        revision = await head.draw(connection)
        await customers.record_change(connection, account_id, revision, NOW)
        # What a writer still does between its draw and its commit takes each another time.
        await asyncio.sleep(0.001 * (writer % 3))
        return revision

    return [await database.write(work) for _ in range(WRITES)]


async def _follow(database: Database, until: asyncio.Event) -> list[int]:
    """Page the feed as caches do: only what is above the last revision seen."""
    seen = [0]
    while True:
        done = until.is_set()
        seen += await _page(database, above=seen[-1])
        if done:
            return seen[1:]


async def _page(database: Database, *, above: int) -> list[int]:
    async with database.read() as connection:
        found = await connection.execute(
            select(change.c.revision).where(change.c.revision > above).order_by(change.c.revision)
        )
        return list(found.scalars())


async def test_a_follower_of_the_feed_misses_nothing_that_concurrent_writers_commit(
    database: Database,
) -> None:
    finished = asyncio.Event()
    following = asyncio.create_task(_follow(database, finished))
    written = await asyncio.gather(*(_write_changes(database, n) for n in range(WRITERS)))
    finished.set()

    seen = await following
    committed = sorted(revision for each in written for revision in each)
    assert len(committed) == WRITERS * WRITES
    assert seen == committed


async def test_numbers_that_are_not_held_until_the_commit_would_be_missed(
    database: Database,
) -> None:
    """What the row `head` is for: 1 is drawn first and committed after 2 was seen."""
    if database.dialect == "sqlite":
        pytest.skip("SQLite lets one writer in at a time: any numbers are in commit order.")
    drawn, may_commit = asyncio.Event(), asyncio.Event()

    async def slow(connection: AsyncConnection) -> None:
        await customers.record_change(connection, "acct_1", 1, NOW)
        drawn.set()
        await may_commit.wait()

    async def quick(connection: AsyncConnection) -> None:
        await customers.record_change(connection, "acct_2", 2, NOW)

    writing = asyncio.create_task(database.write(slow))
    await drawn.wait()
    await database.write(quick)
    assert await _page(database, above=0) == [2]
    may_commit.set()
    await writing

    assert await _page(database, above=2) == []


async def test_an_account_knows_the_revision_of_its_last_change(database: Database) -> None:
    revisions = await _write_changes(database, 1)

    async with database.read() as connection:
        found = (await connection.execute(select(account))).one()
    assert (found.account_id, found.revision) == ("acct_1", revisions[-1])


async def test_one_revision_is_one_entry_of_the_feed(database: Database) -> None:
    async def twice(connection: AsyncConnection) -> int:
        revision = await head.draw(connection)
        await customers.record_change(connection, "acct_1", revision, NOW)
        await customers.record_change(connection, "acct_1", revision, NOW)
        return revision

    revision = await database.write(twice)

    async with database.read() as connection:
        found = (await connection.execute(select(change))).one()
    assert (found.revision, found.account_id, found.change_time) == (revision, "acct_1", NOW)
