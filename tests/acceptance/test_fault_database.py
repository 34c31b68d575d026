"""The database is away, or somebody keeps it locked: no wrong 200, no wrong yes, and it goes on."""

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest

from demo.stack import Stack
from tests.acceptance.faults import BOUND, LONG, SETTINGS, System, running, until, witness
from tests.postgres import Postgres

pytestmark = pytest.mark.timeout(300)

#: How long the database stays away at least, in seconds; the faults show sooner.
OUTAGE = float(os.environ.get("OUTAGE_SECONDS", "0"))
#: How long a grant lasts that ends while the database is away: longer than it takes to go.
LASTS = timedelta(seconds=8)
UNANSWERED = {grpc.StatusCode.UNAVAILABLE}


async def test_while_postgresql_is_away_no_answer_is_wrong_and_then_it_goes_on(
    postgres: Postgres,
) -> None:
    name = await postgres.create()
    async with running(Stack(database_url=postgres.url(name), settings=SETTINGS)) as system:
        await system.until_answered(200)
        end = await _granted(system)
        async with witness(system, "reports") as seen:
            await until(lambda: _says_yes(seen))
            async with _away(postgres):
                began = time.time()
                await system.until_answered(503)
                while_away = [await system.deliver() for _ in range(5)]
                await until(lambda: _shows_on_metrics(system))
                await until(lambda: _is_past(max(end.timestamp() + 1, began + OUTAGE)))
                unanswered = seen.codes() - {grpc.StatusCode.OK}
            await until(lambda: _says_no(seen))

        await system.until_answered(200)
        await system.until_ready()
    assert while_away == [503] * 5
    assert unanswered == UNANSWERED
    assert seen.yes_asked_after(end.timestamp()) == []
    # What is remembered is used for as long as its bound says, and not longer.
    before_recovery = [each for each in seen.answers if each.asked < end.timestamp()]
    last_yes = max(each.asked for each in before_recovery if each.entitled)
    assert last_yes < began + BOUND + 1


async def _granted(system: System) -> datetime:
    end = datetime.now(UTC) + LASTS
    await system.administration.grant(system.shop.account, "reports", expire_time=end)
    return end


@asynccontextmanager
async def _away(postgres: Postgres) -> AsyncIterator[None]:
    await asyncio.to_thread(postgres.stop)
    try:
        yield
    finally:
        await asyncio.to_thread(postgres.start)


async def _says_yes(seen) -> bool:
    return bool(seen.answers) and seen.answers[-1].entitled


async def _says_no(seen) -> bool:
    return seen.answers[-1].code is grpc.StatusCode.OK and not seen.answers[-1].entitled


async def _shows_on_metrics(system: System) -> bool:
    """Tell whether the conditions of PaidupNotReady, -FeedLost and -WebhooksNotStored hold."""
    return (
        await system.of_service("paidup_ready") == 0
        and await system.of_service("paidup_feed_lag_seconds") > BOUND
        and await system.of_gateway("paidup_webhook_refused_total", reason="not_stored") >= 6
    )


async def _is_past(moment: float) -> bool:
    return time.time() > moment


async def test_while_another_process_keeps_sqlite_locked_nothing_is_acknowledged(
    tmp_path: Path,
) -> None:
    path = tmp_path / "paidup.db"
    stack = Stack(database_url=f"sqlite+aiosqlite:///{path}", settings=SETTINGS)
    async with running(stack) as system:
        await system.until_answered(200)
        await _granted_for_good(system)

        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            while_locked = await asyncio.gather(*(system.deliver() for _ in range(5)))
            async with witness(system, "reports") as seen:
                await until(lambda: _enough(seen))
            other.execute("ROLLBACK")

        await system.until_answered(200)
        await system.until_ready()
    assert while_locked == [503] * 5
    # Who only reads is not held up.
    assert {(each.code, each.entitled) for each in seen.answers} == {(grpc.StatusCode.OK, True)}


async def _granted_for_good(system: System) -> None:
    granted = await system.administration.grant(system.shop.account, "reports")
    await system.shop.check("reports", at_least_revision=granted.revision)


async def _enough(seen) -> bool:
    return len(seen.answers) >= 20


def test_the_bound_is_shorter_than_a_grant_and_both_than_the_patience_of_a_test() -> None:
    assert BOUND + 1 < LASTS.total_seconds() < LONG
