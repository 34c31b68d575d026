import asyncio

import pytest

from billing_service import leased
from billing_service.errors import StateNotAvailable
from billing_service.leased import Lease, locked
from subscription_state.database import Database
from subscription_state.errors import StateUnavailable

pytestmark = pytest.mark.asyncio(loop_scope="session")

NAME = "checkout:acct_1"
SOON = 5


async def _is_free(database) -> bool:
    lease = Lease(database, NAME)
    free = await lease.acquire()
    await lease.release()
    return free


class Slow:
    """A database whose commits are seen by others before their writer hears of them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.written = asyncio.Event()
        self.go_on = asyncio.Event()

    async def write(self, work):
        result = await self._database.write(work)
        if not self.written.is_set():
            self.written.set()
            await self.go_on.wait()
        return result


async def test_one_at_a_time_is_let_through(database):
    inside, most = 0, 0

    async def work() -> None:
        nonlocal inside, most
        async with locked(database, NAME):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(work() for _ in range(5)))

    assert most == 1


async def test_it_is_free_after_the_work(database):
    async with locked(database, NAME):
        assert not await _is_free(database)

    assert await _is_free(database)


async def test_it_is_free_after_work_that_failed(database):
    with pytest.raises(ValueError, match="of the work"):
        async with locked(database, NAME):
            raise ValueError("of the work")

    assert await _is_free(database)


async def test_it_is_free_after_work_that_was_cancelled(database):
    started = asyncio.Event()

    async def work() -> None:
        async with locked(database, NAME):
            started.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await _is_free(database)


async def test_it_is_free_after_a_call_that_was_cancelled_while_it_asked(database):
    slow = Slow(database)

    async def work() -> None:
        async with locked(slow, NAME):
            pytest.fail("the call was cancelled before")

    task = asyncio.create_task(work())
    await slow.written.wait()
    assert not await _is_free(database)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await _is_free(database)


async def test_who_waits_too_long_is_told_to_try_again(database, monkeypatch):
    monkeypatch.setattr(leased, "LONGEST_WAIT", 0.1)

    async with locked(database, NAME):
        with pytest.raises(StateNotAvailable):
            async with locked(database, NAME):
                pytest.fail("two at a time")


async def test_a_lease_outlives_its_lifetime_while_the_work_goes_on(database, monkeypatch):
    monkeypatch.setattr(leased, "LIFETIME", leased.LIFETIME / 20)
    monkeypatch.setattr(leased, "MARGIN", 0.05)
    monkeypatch.setattr(leased, "RENEW_EVERY", 0.05)

    async with locked(database, NAME):
        await asyncio.sleep(2 * leased.LIFETIME.total_seconds())
        free = await _is_free(database)

    assert not free


class Dying:
    """A database that goes away after so many writes."""

    def __init__(self, database: Database, *, writes: int) -> None:
        self._database = database
        self._left = writes

    async def write(self, work):
        self._left -= 1
        if self._left < 0:
            raise StateUnavailable("The database did not answer.")
        return await self._database.write(work)


async def test_work_ends_before_a_lease_that_could_not_be_kept(database, monkeypatch):
    monkeypatch.setattr(leased, "LIFETIME", leased.LIFETIME / 20)
    monkeypatch.setattr(leased, "MARGIN", 0.1)
    monkeypatch.setattr(leased, "RENEW_EVERY", 0.05)
    dying = Dying(database, writes=1)

    async def work() -> None:
        async with locked(dying, NAME):
            await asyncio.sleep(SOON)
            pytest.fail("the lease ran out long ago")

    with pytest.raises(StateNotAvailable):
        await work()

    assert not await _is_free(database), "the work ended while the lease still stood"


class Lagging:
    """A database whose writer is cancelled only after its commit: a renewal on its way."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.renewing = asyncio.Event()
        self.renewed = False
        self._writes = 0

    async def write(self, work):
        self._writes += 1
        if self._writes != 2:
            return await self._database.write(work)
        self.renewing.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.1)
            await self._database.write(work)
            self.renewed = True
            raise


async def test_a_renewal_on_its_way_does_not_take_the_lease_again(database, monkeypatch):
    monkeypatch.setattr(leased, "RENEW_EVERY", 0.01)
    lagging = Lagging(database)

    async with locked(lagging, NAME):
        await lagging.renewing.wait()

    assert lagging.renewed, "what is still on its way could take it after this"
    assert await _is_free(database)
