"""The feed, as one who follows it reads it."""

from datetime import datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import catalog, changes, customers, head, retention
from subscription_state.changes import News, Position
from subscription_state.database import Database
from tests.builders import DAY, NOW, a_product


async def since(database: Database, known: Position | None = None) -> News:
    async with database.read() as connection:
        return await changes.since(connection, known)


async def change(database: Database, *account_ids: str, now: datetime = NOW) -> int:
    async def work(connection: AsyncConnection) -> int:
        for account_id in account_ids:
            revision = await head.draw(connection)
            await customers.record_change(connection, account_id, revision, now)
        return revision

    return await database.write(work)


async def edit_catalog(database: Database, *features: str) -> None:
    ticket = await database.write(head.draw)
    product = a_product("prod_team", *features)
    await database.write(lambda each: catalog.save(each, [product], ticket=ticket, now=NOW))


async def test_who_knows_nothing_may_have_missed_all(database: Database) -> None:
    await edit_catalog(database, "reports")

    news = await since(database)

    assert (news.missed, news.accounts) == (True, ())
    assert news.catalog == {"prod_team": a_product("prod_team", "reports")}


async def test_what_changed_is_told_once_each_in_order(database: Database) -> None:
    await change(database, "acct_0")
    before = (await since(database)).position
    last = await change(database, "acct_1", "acct_2", "acct_1")

    news = await since(database, before)

    assert (news.missed, news.accounts, news.catalog) == (False, ("acct_2", "acct_1"), None)
    assert news.position.revision.number == last
    assert (await since(database, news.position)).accounts == ()


async def test_an_edited_catalogue_is_told_also_where_nobody_has_it(database: Database) -> None:
    await edit_catalog(database, "reports")
    before = (await since(database)).position
    await edit_catalog(database, "reports", "export")

    news = await since(database, before)

    assert (news.missed, news.accounts) == (False, ())
    assert news.catalog == {"prod_team": a_product("prod_team", "reports", "export")}


async def test_who_was_away_until_changes_were_dropped_missed_some(database: Database) -> None:
    await change(database, "acct_0", now=NOW - 3 * DAY)
    away, back = (await since(database)).position, await change(database, "acct_1")
    recent = (await since(database)).position
    await change(database, "acct_2")

    await database.write(lambda each: retention.drop_changes(each, before=NOW + DAY))

    assert (await since(database, away)).missed
    assert recent.revision.number == back
    assert (await since(database, (await since(database)).position)).missed is False


async def test_the_first_change_ever_is_told_to_who_looked_recently(database: Database) -> None:
    before = (await since(database)).position
    await change(database, "acct_1")

    async with database.read() as connection:
        recently = await changes.since(connection, before, recently=True)
    assert (recently.missed, recently.accounts) == (False, ("acct_1",))
    assert (await since(database, before)).missed


async def test_another_history_is_another(database: Database) -> None:
    before = (await since(database)).position
    await database.write(head.start_history)

    assert (await since(database, before)).missed


async def test_who_is_too_far_behind_begins_anew(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MOST", 2)
    await change(database, "acct_0")
    before = (await since(database)).position
    await change(database, "acct_1", "acct_2")
    assert (await since(database, before)).accounts == ("acct_1", "acct_2")

    await change(database, "acct_3")

    news = await since(database, before)
    assert (news.missed, news.accounts) == (True, ())


async def test_the_time_of_a_revision_is_that_of_the_last_change_up_to_it(
    database: Database,
) -> None:
    first = await change(database, "acct_1", now=NOW - DAY)
    second = await change(database, "acct_2")

    async with database.read() as connection:
        assert await changes.time_of(connection, first - 1) is None
        assert await changes.time_of(connection, first) == NOW - DAY
        assert await changes.time_of(connection, second + 5) == NOW
