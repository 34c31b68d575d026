"""`/healthz` and `/readyz`, and what is answered while the database is not ready."""

import asyncio

import aiohttp
import pytest

from subscription_state import database as database_module
from subscription_state.database import Database
from subscription_state.tables import customer
from tests.gateway.clients import SECRET, Answer, Stripe, an_event, until
from tests.gateway.databases import Postgresql, SharedDatabase, Sqlite, count, stored
from tests.gateway.serving import serving
from webhook_gateway import readiness
from webhook_gateway.gateway import Gateway, assemble

ALL_IS_WELL = {
    "database": "ok",
    "migrations": "ok",
    "deployment": "ok",
    "secrets": "ok",
    "draining": "ok",
}


@pytest.fixture(autouse=True)
def _look_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "REMEMBER", 0)


async def readyz(stripe: Stripe) -> Answer:
    return await stripe.request("GET", "/readyz")


async def test_it_is_ready_when_all_is_well(stripe: Stripe) -> None:
    answer = await readyz(stripe)

    assert (answer.status, answer.content) == (200, {"ready": True, "checks": ALL_IS_WELL})


async def test_it_is_ready_while_another_writes(stripe: Stripe, database: SharedDatabase) -> None:
    async with database.held():
        answer = await readyz(stripe)

    assert answer.status == 200


async def test_it_is_not_ready_while_it_stops(stripe: Stripe, gateway: Gateway) -> None:
    gateway.stopping.ask()

    answer = await readyz(stripe)

    assert answer.status == 503
    assert answer.content["checks"] == ALL_IS_WELL | {"draining": "The gateway is stopping."}


async def test_its_look_is_remembered_for_a_moment(
    stripe: Stripe, sqlite: Sqlite, database: SharedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "REMEMBER", 60)
    before = await readyz(stripe)

    await database.forget_deployment()

    assert (before.status, (await readyz(stripe)).status) == (200, 200)


async def test_a_database_that_is_not_bound_is_not_ready_and_stores_nothing(
    stripe: Stripe, database: SharedDatabase
) -> None:
    await database.forget_deployment()

    answer, ready = await stripe.deliver(an_event()), await readyz(stripe)

    assert (answer.status, answer.reason) == (503, "not_stored")
    assert answer.headers["Retry-After"] == "5"
    assert await count(database.url) == 0
    assert await count(database.url, customer) == 0
    told = {"deployment": "The service has never been started on this database."}
    assert (ready.status, ready.content["checks"]) == (503, ALL_IS_WELL | told)


async def test_a_database_that_is_away_is_not_ready_and_events_have_to_come_again(
    stripe: Stripe, database: SharedDatabase
) -> None:
    await database.take_away()
    try:
        answer, ready = await stripe.deliver(an_event()), await readyz(stripe)
        alive = await stripe.request("GET", "/healthz")
    finally:
        await database.bring_back()

    assert (answer.status, answer.reason) == (503, "not_stored")
    assert answer.headers["Retry-After"] == "5"
    assert ready.status == 503
    assert ready.content["checks"]["database"] == "The database did not answer."
    assert alive.status == 200
    await until(lambda: _is_taken(stripe))
    assert (await readyz(stripe)).status == 200
    assert await count(database.url) == 1


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_a_server_that_goes_away_within_a_commit_is_survived(
    stripe: Stripe, database: Postgresql
) -> None:
    assert (await stripe.deliver(an_event(1))).outcome == "applied"
    async with database.held():
        waiting = [asyncio.create_task(stripe.deliver(an_event(number))) for number in (2, 3)]
        await stripe.until_waiting(2)
        await database.take_away()
        try:
            answers = await asyncio.gather(*waiting)
        finally:
            await database.bring_back()

    assert [answer.reason for answer in answers] == ["not_stored", "not_stored"]
    await until(lambda: _is_taken(stripe))
    assert [row.event_id for row in await stored(database.url)] == ["evt_1"]


async def test_a_file_that_another_keeps_locked_is_waited_for_only_so_long(
    sqlite: Sqlite, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT", 0.2)
    state = Database.at(sqlite.url)
    async with serving(assemble(state, SECRET), session) as stripe:
        async with sqlite.held():
            answer = await stripe.deliver(an_event())
        again = await stripe.deliver(an_event())
    await state.close()

    assert (answer.status, answer.reason) == (503, "not_stored")
    assert again.outcome == "applied"


async def _is_taken(stripe: Stripe) -> bool:
    return (await stripe.deliver(an_event())).status == 200
