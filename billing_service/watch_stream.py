"""One stream of WatchEntitlements: what waits to be sent, and up to where all has been sent."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol

from billing_service import metrics, watch_messages
from subscription_state.revision import Revision

#: The contract promises five seconds.
HEARTBEAT = timedelta(seconds=3)
#: Accounts that wait for a slow reader, above which the stream is ended.
MOST_WAITING = 10_000
#: How long one message may take to be taken, in seconds.
SEND_TIMEOUT = 10
#: A stream's life, in seconds: shorter than what the connection has left when it grows old.
LIFE = (180, 270)
#: How many accounts a new stream asks for at a time.
PORTION = 500
#: By cause, the longest delay that a goodbye asks for, in milliseconds; chance spreads them.
GOODBYES = {"drain": 3000, "age": 500, "slow": 2000}

Send = Callable[[bytes], Awaitable[None]]


class Source(Protocol):
    """Where a stream takes its messages from."""

    @property
    def done(self) -> Revision | None:
        """All changes up to here have been put into every stream."""

    def is_fresh(self) -> bool:
        """Tell whether nothing can have been missed for longer than the bound."""

    def stamp(self, revision: Revision | None) -> bytes:
        """Give the end of a message: nothing more to send up to this revision."""

    async def parts(self, account_ids: list[str]) -> dict[str, bytes]:
        """Give accounts as they are now; what is put later is never older."""

    async def changed_since(self, revision: Revision) -> set[str] | None:
        """List accounts that changed after a revision; None where that is not known any more."""


class Stream:
    """Sends what is put, the last of each account only, until it is told to end."""

    def __init__(
        self, source: Source, send: Send, *, account_ids: frozenset[str], resume: Revision | None
    ) -> None:
        self._source = source
        self._send_bytes = send
        #: Empty for all.
        self.account_ids = account_ids
        self._waiting: dict[str, bytes] = {}
        self._woken = asyncio.Event()
        self._cause: str | None = None
        self._reset = False
        self._complete = False
        self._resumed = self._sent = resume
        #: By the loop's clock: when the caller has to be told how far all is sent, by silence else.
        self._beat_at = 0.0

    def put(self, account_id: str, part: bytes) -> None:
        """Have an account's state sent, in place of any that still waits."""
        self._waiting[account_id] = part
        if len(self._waiting) > MOST_WAITING:
            self.end("slow")
        self._woken.set()

    def reset(self) -> None:
        """Have the caller told that changes were missed; all named accounts are sent again."""
        self._reset = True
        self._woken.set()

    def end(self, cause: str) -> None:
        self._cause = self._cause or cause
        self._woken.set()

    async def run(self) -> None:
        """Send until there is a cause to end."""
        loop = asyncio.get_running_loop()
        age = loop.call_later(random.uniform(*LIFE), self.end, "age")  # noqa: S311 - jitter
        try:
            await self._begin()
            while self._cause is None:
                await self._go_on()
        except TimeoutError:
            self.end("slow")
        finally:
            age.cancel()
        await self._say_goodbye()

    async def _begin(self) -> None:
        if self._resumed is None:
            await self._send_states(self.account_ids)
            return
        changed = await self._source.changed_since(self._resumed)
        if changed is None:
            await self._begin_anew("revision_unknown")
        else:
            named = changed & self.account_ids if self.account_ids else changed
            await self._send_states(named)

    async def _begin_anew(self, cause: str) -> None:
        self._reset = self._complete = False
        self._waiting.clear()
        self._resumed = self._sent = None
        metrics.WATCH_RESETS.labels(cause).inc()
        await self._send(watch_messages.RESET + self._source.stamp(None))
        await self._send_states(self.account_ids)

    async def _send_states(self, account_ids: frozenset[str] | set[str]) -> None:
        """Send accounts as they are; only then is everything sent up to where the source is."""
        remaining = sorted(account_ids)
        while remaining and self._cause is None and not self._reset:
            portion, remaining = remaining[:PORTION], remaining[PORTION:]
            for account_id, part in (await self._source.parts(portion)).items():
                self._waiting[account_id] = part
            await self._flush()
        if not remaining:
            self._complete = True
            await self._heartbeat()

    async def _go_on(self) -> None:
        try:
            async with asyncio.timeout_at(self._beat_at):
                await self._woken.wait()
        except TimeoutError:
            await self._heartbeat()
            return
        self._woken.clear()
        if self._reset:
            await self._begin_anew("feed_lost")
        await self._flush()
        # What the clock brings moves no revision on: a flow of that must not pass for silence.
        if asyncio.get_running_loop().time() >= self._beat_at:
            await self._heartbeat()

    async def _heartbeat(self) -> None:
        if self._waiting or self._reset:
            return
        self._beat_later()
        # Silence tells that nobody knows whether anything changed.
        if self._source.is_fresh():
            self._sent = self._through()
            await self._send(self._source.stamp(self._sent))

    def _beat_later(self) -> None:
        self._beat_at = asyncio.get_running_loop().time() + HEARTBEAT.total_seconds()

    async def _flush(self) -> None:
        """Send what waits. Only the last message may say that all is sent."""
        through = self._through()
        batch, self._waiting = self._waiting, {}
        parts = list(batch.values())
        for part in parts[:-1]:
            await self._send(part + self._source.stamp(self._sent))
        for part in parts[-1:]:
            await self._send(part + self._source.stamp(through))
            if through != self._sent:
                self._beat_later()
            self._sent = through

    def _through(self) -> Revision | None:
        """Give up to where all is sent, once what waits now is sent."""
        if not self._complete:
            return self._sent
        # Another replica may have been further than this one is.
        known = [each for each in (self._resumed, self._source.done) if each is not None]
        return max(known, key=lambda each: each.number, default=None)

    async def _send(self, message: bytes) -> None:
        async with asyncio.timeout(SEND_TIMEOUT):
            await self._send_bytes(message)
        metrics.WATCH_MESSAGES.inc()

    async def _say_goodbye(self) -> None:
        cause = self._cause or "drain"
        metrics.WATCH_GOODBYES.labels(cause).inc()
        delay = random.randint(0, GOODBYES[cause])  # noqa: S311 - jitter
        try:
            await self._send(watch_messages.goodbye(delay) + self._source.stamp(self._sent))
        except TimeoutError:
            return  # it reads nothing; that the stream ends tells it as much
