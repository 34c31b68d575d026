"""Streams that are open, so that they end when their callers may no longer."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from billing_service import metrics
from billing_service.callers import Caller
from billing_service.errors import BillingError

#: Tells who calls; raises where that one may no longer.
Look = Callable[[], Caller]


class _Open:
    def __init__(self, task: "asyncio.Task[None] | None", look: Look, caller: Caller) -> None:
        self.task = task
        self.look = look
        self.caller = caller
        self.ended: BillingError | None = None

    def has_expired(self, now: float) -> bool:
        return self.caller.expires is not None and self.caller.expires <= now


class OpenStreams:
    """Every stream that somebody was let into."""

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._open: set[_Open] = set()

    @asynccontextmanager
    async def entered(self, look: Look) -> AsyncIterator[None]:
        """Let a caller in, until `look` raises; what it raises then ends the block."""
        stream = _Open(asyncio.current_task(), look, look())
        self._open.add(stream)
        try:
            yield
        except asyncio.CancelledError:
            if stream.ended is None or stream.task is None:
                raise
            stream.task.uncancel()
            raise stream.ended from None
        finally:
            self._open.discard(stream)

    def look_again(self, *, changed: bool) -> None:
        """End those whose callers may no longer; unless something changed, only by the clock."""
        now = self._now()
        for stream in [each for each in self._open if changed or each.has_expired(now)]:
            try:
                stream.caller = stream.look()
            except BillingError as error:
                self._end(stream, error)

    def _end(self, stream: _Open, error: BillingError) -> None:
        self._open.discard(stream)
        stream.ended = error
        metrics.REVOKED_STREAMS.inc()
        if stream.task is not None:
            stream.task.cancel()
