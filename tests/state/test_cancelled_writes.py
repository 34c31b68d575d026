import asyncio
from pathlib import Path

import pytest

from subscription_state import head, migrate
from subscription_state.database import Database

#: Cancelled after so many turns of the loop: before, during and after the transaction.
TURNS = range(130)


@pytest.fixture
async def two_processes_worth(tmp_path: Path):
    """Two engines on one file, as the gateway and the service have them."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'paidup.db'}"
    ours, theirs = Database.at(url), Database.at(url)
    await migrate.upgrade(ours)
    yield ours, theirs
    await ours.close()
    await theirs.close()


async def test_a_cancelled_write_never_keeps_the_lock_from_others(two_processes_worth):
    ours, theirs = two_processes_worth

    for turns in TURNS:
        writing = asyncio.create_task(ours.write(head.draw))
        for _ in range(turns):
            await asyncio.sleep(0.0001)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)

        # A lock that is kept makes this wait for its time-out, and fail.
        drawn = await theirs.write(head.draw)

        assert drawn > 0


async def test_a_cancelled_write_says_that_it_was_cancelled(two_processes_worth):
    ours, _ = two_processes_worth
    writing = asyncio.create_task(ours.write(head.draw))
    await asyncio.sleep(0)

    writing.cancel()

    with pytest.raises(asyncio.CancelledError):
        await writing
