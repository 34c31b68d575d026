"""The gateway's machine has a clock that is ten minutes off."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.gateway.clients import Stripe, an_event, until
from tests.gateway.databases import SharedDatabase, count
from tests.gateway.processes import a_process
from tests.put_clock import Clock

TEN_MINUTES = 600


@pytest.fixture
def database(sqlite: SharedDatabase) -> SharedDatabase:
    return sqlite


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    put = Clock(tmp_path)
    for name, value in put.variables.items():
        monkeypatch.setenv(name, value)
    return put


@pytest.fixture
async def stripe(
    clock: Clock, database: SharedDatabase, tmp_path: Path, session: aiohttp.ClientSession
) -> AsyncIterator[Stripe]:
    with a_process(tmp_path, DATABASE_URL=database.url) as process:
        yield Stripe(session, await process.url())


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [(TEN_MINUTES, "timestamp_too_old"), (-TEN_MINUTES, "timestamp_in_the_future")],
    ids=["fast", "slow"],
)
async def test_what_it_refuses_is_counted_by_its_cause_and_taken_once_the_clock_is_put(
    stripe: Stripe, clock: Clock, database: SharedDatabase, seconds: int, reason: str
) -> None:
    clock.put(seconds)
    while_off = [await stripe.deliver(an_event(number)) for number in range(5)]
    refused = await stripe.metric("paidup_webhook_refused_total", reason=reason)
    skew = await stripe.metric("paidup_clock_skew_seconds")
    held = await count(database.url)
    clock.put(0)

    # Stripe comes again; whether the first of them is taken at once is up to what it waited for.
    await until(lambda: _all_are_taken(stripe), within=60)

    assert {(answer.status, answer.reason) for answer in while_off} == {(400, reason)}
    assert refused == 5
    assert abs(skew - seconds) < 60
    assert held == 0
    assert await count(database.url) == 5


async def _all_are_taken(stripe: Stripe) -> bool:
    answers = [await stripe.deliver(an_event(number)) for number in range(5)]
    return {answer.status for answer in answers} == {200}
