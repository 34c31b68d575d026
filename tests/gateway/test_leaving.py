"""How the gateway leaves, seen by Stripe and by the balancer before it."""

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from tests.gateway.clients import Stripe, an_event
from tests.gateway.databases import SharedDatabase, Sqlite, count
from tests.gateway.processes import GatewayProcess, a_process

#: Longer than any of these tests: only a second signal ends it.
FOR_EVER = "60"


@pytest.fixture
def drain_seconds() -> str:
    return "2"


@pytest.fixture
def process(
    database: SharedDatabase, tmp_path: Path, drain_seconds: str
) -> Iterator[GatewayProcess]:
    with a_process(tmp_path, DATABASE_URL=database.url, DRAIN_SECONDS=drain_seconds) as started:
        yield started


@pytest.fixture
async def stripe(process: GatewayProcess, session: aiohttp.ClientSession) -> Stripe:
    return Stripe(session, await process.url())


async def _until_told(stripe: Stripe) -> None:
    """Return once the balancer has been told to send no more."""
    async with asyncio.timeout(10):
        while (answer := await stripe.request("GET", "/readyz")).status == 200:
            await asyncio.sleep(0.01)
    assert answer.content["checks"]["draining"] == "The gateway is stopping."


async def test_it_says_so_and_goes_on_answering_while_the_word_spreads(
    stripe: Stripe, process: GatewayProcess, database: SharedDatabase
) -> None:
    before = await stripe.deliver(an_event(1))
    process.terminate()
    await _until_told(stripe)

    answer = await stripe.deliver(an_event(2))

    assert "Connection" not in before.headers
    assert answer.outcome == "applied"
    assert answer.headers["Connection"] == "close", "the next event would come here again"
    assert await process.ended() == 0
    assert await count(database.url) == 2


async def test_a_second_signal_hurries(
    database: SharedDatabase, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    settings = {"DATABASE_URL": database.url, "DRAIN_SECONDS": FOR_EVER}
    with a_process(tmp_path, **settings) as process:
        stripe = Stripe(session, await process.url())
        async with database.held():
            waiting = asyncio.create_task(stripe.deliver(an_event()))
            await stripe.until_waiting(1)
            process.terminate()
            await _until_told(stripe)

            process.terminate()

            assert await process.ended() == 0
        [end] = await asyncio.gather(waiting, return_exceptions=True)

    # Nobody was told that it is stored, so it comes again.
    assert isinstance(end, aiohttp.ClientError)
    assert "webhook_gateway_gave_up_waiting" in process.log
    assert "Traceback" not in process.log


async def test_the_file_alone_holds_what_was_acknowledged(
    sqlite: Sqlite, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    # The service has the file open too: SQLite itself brings its log in with the last one only.
    with (
        closing(sqlite3.connect(sqlite.path)) as other,
        a_process(tmp_path, DATABASE_URL=sqlite.url) as process,
    ):
        other.execute("SELECT * FROM head").fetchall()
        stripe = Stripe(session, await process.url())
        await stripe.deliver(an_event())
        process.terminate()
        assert await process.ended() == 0
        shutil.copy(sqlite.path, tmp_path / "alone.db")

    assert await count(f"sqlite+aiosqlite:///{tmp_path / 'alone.db'}") == 1
