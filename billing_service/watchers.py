"""Hands the changes of accounts to all streams that watch them.

The feed tells which accounts changed. They are read and encoded once, whoever watches
them, and put into every such stream. Ends that the clock brings are handed out likewise.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from billing_service import metrics, watch_messages
from billing_service.checks import Checks
from billing_service.feed import Feed
from billing_service.memory import Memory, View
from billing_service.to_proto import revision_to_proto
from billing_service.watch_ends import Ends
from billing_service.watch_stream import PORTION, Send, Stream
from subscription_state import changes, upcoming
from subscription_state.changes import News
from subscription_state.database import Database
from subscription_state.entitlements import Policy, boundaries
from subscription_state.errors import StateUnavailable
from subscription_state.revision import Revision

log = logging.getLogger(__name__)

#: How far ahead ends are looked for, and how often.
HORIZON = timedelta(minutes=10)
LOOK_EVERY = timedelta(minutes=5)
#: How far clocks of this deployment's machines may be apart.
SKEW = timedelta(minutes=1)
#: How long is waited after a failure, in seconds.
PAUSE = 0.5
LONGEST_WAIT = 60.0

_LONG_AGO = datetime.fromtimestamp(0, UTC)


class Watchers:
    """All streams of this process."""

    def __init__(
        self,
        database: Database,
        feed: Feed,
        memory: Memory,
        checks: Checks,
        policy: Policy,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._feed = feed
        self._memory = memory
        self._checks = checks
        self._policy = policy
        self._now = now
        self._streams: set[Stream] = set()
        self._of_all: set[Stream] = set()
        self._by_account: dict[str, set[Stream]] = {}
        #: Accounts to hand out, in the order in which they changed.
        self._pending: dict[str, None] = {}
        self._ends = Ends()
        self._look_at = _LONG_AGO
        self._woken = asyncio.Event()
        self._heard: Revision | None = None
        self._handing_out = self._drained = False
        self.done: Revision | None = None
        feed.listen(self._hear)

    def is_fresh(self) -> bool:
        return self._feed.is_fresh()

    def stamp(self, revision: Revision | None) -> bytes:
        text = "" if revision is None else revision_to_proto(revision)
        return watch_messages.stamp(text, self._now())

    async def stream(
        self, send: Send, *, account_ids: frozenset[str], resume: Revision | None
    ) -> None:
        """Serve one stream until it ends."""
        if not self._feed.is_fresh():
            await self._feed.read()
        stream = Stream(self, send, account_ids=account_ids, resume=resume)
        self._add(stream)
        try:
            await stream.run()
        finally:
            self._remove(stream)

    def drain(self) -> None:
        """End all streams, and any that come."""
        self._drained = True
        for stream in self._streams:
            stream.end("drain")

    def _add(self, stream: Stream) -> None:
        self._streams.add(stream)
        if not stream.account_ids:
            self._of_all.add(stream)
        for account_id in stream.account_ids:
            self._by_account.setdefault(account_id, set()).add(stream)
        metrics.WATCHERS.set(len(self._streams))
        # What ends soon may be of accounts that nobody watched until now.
        self._look_at = _LONG_AGO
        self._woken.set()
        if self._drained:
            stream.end("drain")

    def _remove(self, stream: Stream) -> None:
        self._streams.discard(stream)
        self._of_all.discard(stream)
        for account_id in stream.account_ids:
            self._by_account[account_id].discard(stream)
            if not self._by_account[account_id]:
                del self._by_account[account_id]
        metrics.WATCHERS.set(len(self._streams))

    def _watched(self, account_ids: Iterable[str]) -> list[str]:
        if self._of_all:
            return list(account_ids)
        return [each for each in account_ids if each in self._by_account]

    def _hear(self, news: News) -> None:
        first = self._heard is None
        self._heard = news.position.revision
        if news.missed:
            self._pending.clear()
            self.done = self._heard
            for stream in () if first else self._streams:
                stream.reset()
        self._pending.update(dict.fromkeys(self._watched(news.accounts)))
        if self._pending:
            self._woken.set()
        elif not self._handing_out:
            self.done = self._heard

    async def run(self) -> None:
        """Hand out until cancelled, whatever fails."""
        while True:
            try:
                await self._hand_out_due()
            except StateUnavailable:
                await asyncio.sleep(PAUSE)
            except Exception:
                log.exception("watch_failed")
                await asyncio.sleep(PAUSE)
            else:
                await self._wait()

    async def _hand_out_due(self) -> None:
        if self._streams and self._now() >= self._look_at:
            await self._look_for_ends()
        due = self._ends.take_due(self._now())
        self._pending.update(dict.fromkeys(self._watched(due)))
        if self._pending:
            await self._hand_out()

    async def _hand_out(self) -> None:
        batch, up_to = self._pending, self._heard
        self._pending, self._handing_out = {}, True
        try:
            account_ids = list(batch)
            while account_ids:
                portion, account_ids = account_ids[:PORTION], account_ids[PORTION:]
                await self._put(portion)
        except BaseException:
            self._pending = batch | self._pending
            raise
        finally:
            self._handing_out = False
        if up_to is not None and not self._is_behind(up_to):
            self.done = up_to
        if not self._pending:
            self.done = self._heard

    def _is_behind(self, revision: Revision) -> bool:
        """Tell whether it is of another history, or before one that was missed."""
        done = self.done
        return done is not None and (done.epoch != revision.epoch or done.number > revision.number)

    async def _put(self, account_ids: list[str]) -> None:
        parts = await self.parts(account_ids)
        for account_id, part in parts.items():
            for stream in (*self._by_account.get(account_id, ()), *self._of_all):
                stream.put(account_id, part)

    async def _wait(self) -> None:
        """Wait for a change, or for the next end."""
        moments = [self._ends.next(), self._look_at if self._streams else None]
        seconds = [(each - self._now()).total_seconds() for each in moments if each is not None]
        try:
            async with asyncio.timeout(max(0.0, min([LONGEST_WAIT, *seconds]))):
                await self._woken.wait()
        except TimeoutError:
            return
        self._woken.clear()

    async def parts(self, account_ids: list[str]) -> dict[str, bytes]:
        """Give accounts as they are now, encoded; note when the clock changes them."""
        view = await self._latest(account_ids)
        parts = {}
        for account_id in account_ids:
            entitled = self._checks.entitled(view, account_id)
            parts[account_id] = watch_messages.account_part(account_id, entitled)
            self._note_ends(view, account_id)
        return parts

    async def _latest(self, account_ids: list[str]) -> View:
        """Give the accounts as the memory has them, which is never older than what was put."""
        if not self._feed.is_fresh():
            await self._feed.read()
        while (view := self._memory.view(account_ids)) is None:
            view = await self._feed.read(account_ids)
            if self._memory.position and view.revision == self._memory.position.revision:
                return view
        return view

    def _note_ends(self, view: View, account_id: str) -> None:
        now = self._now()
        self._ends.add(account_id, self._ends_of(view, account_id, now, now + HORIZON))

    def _ends_of(
        self, view: View, account_id: str, after: datetime, up_to: datetime
    ) -> list[datetime]:
        moments = boundaries(view.accounts[account_id].state, view.catalog, self._policy)
        return [each for each in moments if after < each <= up_to]

    async def _look_for_ends(self) -> None:
        """Find what ends soon, or has just ended, of all accounts that are watched."""
        now = self._now()
        self._look_at = now + LOOK_EVERY
        try:
            ending = await self._ending_between(now - SKEW, now + HORIZON)
            watched = self._watched(ending)
            for start in range(0, len(watched), PORTION):
                await self._note_or_put(watched[start : start + PORTION], now)
        except BaseException:
            self._look_at = _LONG_AGO
            raise

    async def _note_or_put(self, account_ids: list[str], now: datetime) -> None:
        view = await self._latest(account_ids)
        ended = [each for each in account_ids if self._ends_of(view, each, now - SKEW, now)]
        for account_id in account_ids:
            self._note_ends(view, account_id)
        await self._put(ended)

    async def _ending_between(self, start: datetime, end: datetime) -> list[str]:
        catalog = (await self._latest([])).catalog
        graces = upcoming.graces(catalog, self._policy)
        async with self._database.read() as connection:
            return await upcoming.accounts_between(connection, start, end, graces=graces)

    async def changed_since(self, revision: Revision) -> set[str] | None:
        """List accounts that changed or ended after a revision; None where some may be missing."""
        async with self._database.read() as connection:
            position = await changes.position(connection)
            if changes.is_gap(position, revision):
                return None
            changed = await changes.after(connection, revision.number, limit=changes.MOST + 1)
            since = await changes.time_of(connection, revision.number)
        if len(changed) > changes.MOST:
            return None
        ended = await self._ending_between((since or _LONG_AGO) - SKEW, self._now())
        return {*changed, *ended}
