"""Follows what is committed, and reads accounts for the memory on the way.

One read at a time, and each begins where the one before ended: it brings the changes
since then and the accounts that somebody waits for, all in one snapshot. So no account
can come in that an earlier change should have taken out.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from contextvars import Context
from datetime import timedelta

from billing_service import metrics
from billing_service.memory import Memory, View
from subscription_state import accounts, changes, commits
from subscription_state.changes import News
from subscription_state.database import Database
from subscription_state.errors import StateError, StateUnavailable
from subscription_state.model import AccountState

log = logging.getLogger(__name__)

#: How often is looked whether anything was committed, in seconds.
INTERVAL = 0.05
#: How long is waited after a look that failed, in seconds.
PAUSE = 0.5
#: For so many seconds no change is dropped: they are kept for a day.
RECENTLY = 3600
#: Of accounts in one read; those of one caller always stay together.
MOST = 2000


class _Read:
    """A read of the database that has not begun."""

    def __init__(self) -> None:
        self.account_ids: set[str] = set()
        self.view: asyncio.Future[View] = asyncio.get_running_loop().create_future()

    def has_room_for(self, account_ids: Collection[str]) -> bool:
        return not self.account_ids or len(self.account_ids) + len(account_ids) <= MOST


class Feed:
    """Keeps the memory true, and knows since when it may not be."""

    def __init__(
        self,
        database: Database,
        memory: Memory,
        *,
        bound: timedelta = timedelta(seconds=5),
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`pause` waits so many seconds, or until somebody hears of a commit."""
        self._database = database
        self._memory = memory
        self._bound = bound.total_seconds()
        self._clock = clock
        self._caught_up: float | None = None
        self._commits_seen: int | None = None
        self._waiting: deque[_Read] = deque()
        self._working: asyncio.Task[None] | None = None
        self._pause = pause
        self._listeners: list[Callable[[News], None]] = []
        self._following = True

    def listen(self, listener: Callable[[News], None]) -> None:
        """Have it called with all that is read, after the memory took it in."""
        self._listeners.append(listener)

    def lag(self) -> float:
        """Give for how many seconds the memory may have been behind."""
        return float("inf") if self._caught_up is None else self._clock() - self._caught_up

    def is_fresh(self) -> bool:
        return self._caught_up is not None and self._clock() - self._caught_up <= self._bound

    async def read(self, account_ids: Collection[str] = ()) -> View:
        """Read accounts as of a moment after this call, together with others who wait.

        Raise `StateUnavailable` when the database does not answer in time.
        """
        if not self._waiting or not self._waiting[-1].has_room_for(account_ids):
            self._waiting.append(_Read())
        read = self._waiting[-1]
        read.account_ids.update(account_ids)
        if self._working is None or self._working.done():
            # Not in the name of the call that happens to begin it.
            self._working = asyncio.create_task(self._work(), context=Context())
        return await asyncio.shield(read.view)

    async def _work(self) -> None:
        while self._waiting:
            read = self._waiting.popleft()
            try:
                read.view.set_result(await self._read_now(read.account_ids))
            except Exception as error:  # noqa: BLE001 - whoever waits is told
                read.view.set_exception(error)
                # Perhaps everybody has gone; unread, it would be complained about.
                read.view.exception()
            finally:
                read.view.cancel()  # where this task was

    async def _read_now(self, account_ids: Collection[str]) -> View:
        began = self._clock()
        try:
            async with asyncio.timeout(self._bound), self._database.read() as connection:
                recently = self.lag() < RECENTLY
                known = self._memory.position
                news = await changes.since(connection, known, recently=recently)
                states = await accounts.load(connection, account_ids)
        except TimeoutError as error:
            raise StateUnavailable("The database did not answer in time.") from error
        return self._take(news, states, began)

    def _take(self, news: News, states: dict[str, AccountState], began: float) -> View:
        view = self._memory.take(news, states)
        self._caught_up = began
        metrics.REMEMBERED.set(len(self._memory))
        for listener in self._listeners:
            listener(news)
        return view

    async def run(self) -> None:
        """Follow until cancelled, whatever fails."""
        while True:
            try:
                await self._follow()
            except Exception as error:  # noqa: BLE001 - it is followed again, and lag tells
                self._tell_lost(error)
                await asyncio.sleep(PAUSE)

    async def _follow(self) -> None:
        # The numbers of another connection count something else.
        self._commits_seen = None
        async with commits.counter(self._database) as counter:
            while True:
                async with asyncio.timeout(self._bound):
                    await self._look(counter)
                self._tell_followed()
                await self._pause(INTERVAL)

    async def _look(self, counter: commits.Counter) -> None:
        began = self._clock()
        # Asked before the read: what is committed meanwhile is seen at the next look.
        seen = await counter()
        if seen is not None and seen == self._commits_seen:
            self._caught_up = began
            return
        await self.read()
        self._commits_seen = seen

    async def close(self) -> None:
        """End what is being read; whoever waits for it is cancelled."""
        if self._working is not None:
            self._working.cancel()
            await asyncio.gather(self._working, return_exceptions=True)
        for read in self._waiting:
            read.view.cancel()

    def _tell_lost(self, error: Exception) -> None:
        if self._following:
            expected = isinstance(error, (StateError, TimeoutError))
            log.warning("feed_lost", exc_info=None if expected else error)
        self._following = False

    def _tell_followed(self) -> None:
        if not self._following:
            log.info("feed_followed")
        self._following = True
