"""How many calls to Stripe one process makes a second, and who goes first.

Stripe limits an account's calls. What people wait for goes before what goes on
by itself, so that a backlog of ten thousand customers never holds up a checkout.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import timedelta

#: Calls a second, unless a setting says otherwise: below Stripe's 25 for one endpoint.
CALLS_PER_SECOND = 20
#: In any stretch of so many seconds no more calls begin than the budget has.
WINDOW = 1.0
#: The part of the budget that background work leaves to people: one in so many.
RESERVED = 5
#: How soon background work looks again while people wait.
YIELD = 0.02


class Budget:
    """Lets `per_second` calls begin in any second, each kind in the order of asking.

    A call is drawn in one step after all waiting, so one that is cancelled
    while it waits has taken nothing.
    """

    def __init__(
        self,
        per_second: int = CALLS_PER_SECOND,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._size = per_second
        self._for_background = per_second - per_second // RESERVED
        self._monotonic = monotonic
        self._sleep = sleep
        #: When the last calls were drawn, oldest first.
        self._drawn: deque[float] = deque(maxlen=per_second)
        self._people = 0
        self._background_from = 0.0
        # Whoever holds a queue's lock is its first; `asyncio.Lock` is fair.
        self._queue = asyncio.Lock()
        self._background_queue = asyncio.Lock()

    def left(self) -> int:
        """Tell how many calls may begin right now."""
        since = self._monotonic() - WINDOW
        return self._size - sum(1 for drawn in self._drawn if drawn > since)

    async def draw(self) -> None:
        """Wait until a call that somebody waits for may begin."""
        self._people += 1
        try:
            async with self._queue:
                while (pause := self._pause(self._size)) > 0:
                    await self._sleep(pause)
                self._take()
        finally:
            self._people -= 1

    async def draw_in_background(self) -> None:
        """Wait until a call may begin that nobody waits for."""
        async with self._background_queue:
            while (pause := self._background_pause()) > 0:
                await self._sleep(pause)
            self._take()

    async def background_turn(self) -> None:
        """Wait until background work may go on, and draw nothing."""
        while (pause := self._background_pause()) > 0:
            await self._sleep(pause)

    def limited(self, delay: timedelta) -> None:
        """Note that Stripe limits us: nothing is left, and background work waits so long."""
        now = self._monotonic()
        self._drawn.extend([now] * self._size)
        self._background_from = max(self._background_from, now + delay.total_seconds())

    def _take(self) -> None:
        self._drawn.append(self._monotonic())

    def _pause(self, most: int) -> float:
        """Tell how long until fewer than `most` calls began within the window."""
        if len(self._drawn) < most:
            return 0.0
        return max(0.0, self._drawn[-most] + WINDOW - self._monotonic())

    def _background_pause(self) -> float:
        limited = self._background_from - self._monotonic()
        yielding = YIELD if self._people else 0.0
        return max(limited, yielding, self._pause(self._for_background))
