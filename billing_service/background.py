"""Work that goes on by itself: touched customers, the mirror, sweeps, ends by the clock.

One replica at a time does it, the one that holds the lease `background`; when it
dies, another takes over as soon as the lease has run out.
"""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

from billing_service import backlog, metrics
from billing_service.errors import BillingError
from billing_service.leased import LIFETIME, Lease
from billing_service.mirror import Mirror
from billing_service.stripe_errors import StripeRefused
from billing_service.verifier import Verifier
from subscription_state import ends, leases, touches
from subscription_state.changes import News
from subscription_state.database import Database
from subscription_state.errors import StateError
from subscription_state.revision import Revision
from subscription_state.touches import Touch
from subscription_state.wakeups import Waiter

log = logging.getLogger(__name__)

LEASE = "background"
POLL = 0.1
#: How often is looked for work though nothing was committed, in seconds: some waits for its time.
LOOK_EVERY = 1.0
#: How often a replica that does not hold the lease asks for it.
ASK_EVERY = timedelta(seconds=0.5)
#: How many customers are read at a time.
CONCURRENCY = 4
CHORES_EVERY = timedelta(seconds=1)
#: The longest pause between tries for a customer that cannot be verified.
LONGEST_PAUSE = timedelta(minutes=10)
#: The catalogue, and a sweep, is tried again after a minute at most: much rests on it.
MOST_FAILURES = 6

#: What may be expected to fail, and needs no traceback.
_EXPECTED = (BillingError, StateError, StripeRefused)
_LONG_AGO = datetime.fromtimestamp(0, UTC)
_MIRROR = "mirror"


class Background:
    """Works the backlog off, until it is stopped.

    Each read of Stripe is a task of its own, so that a slow one holds up neither
    the others nor the renewal of the lease.
    """

    def __init__(
        self,
        database: Database,
        verifier: Verifier,
        mirror: Mirror,
        *,
        recurring: Mapping[str, Callable[[], Awaitable[object]]] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
        waiter: Waiter | None = None,
    ) -> None:
        """Build it; `waiter` is told where something changed."""
        self._clock = clock
        self._database = database
        self._verifier = verifier
        self._waiter = waiter or Waiter()
        #: By name: what is asked again and again, and knows itself when it is due.
        self._recurring = {_MIRROR: mirror.refresh_if_due, **(recurring or {})}
        self._now = now
        self._lease = Lease(database, LEASE, now=now)
        self._leading = False
        self._ask_at = self._chores_at = _LONG_AGO
        self._look_at = 0.0
        self._revision: Revision | None = None
        self._failures: Counter[str] = Counter()
        #: By customer id, or by the name of what recurs.
        self._running: dict[str, asyncio.Task[None]] = {}

    def hear(self, news: News) -> None:
        """Look soon where the feed brings something: whatever makes work draws a ticket."""
        if news.position.revision != self._revision:
            self._revision = news.position.revision
            self._waiter.tell()

    async def run(self) -> None:
        """Work until cancelled; whatever fails is tried again."""
        try:
            while True:
                await self._guarded("round", self._round)
                if await self._waiter.wait(POLL):
                    self._look_at = 0.0
        finally:
            await asyncio.shield(self._stop())

    async def _stop(self) -> None:
        running = tuple(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._lease.release()

    async def _guarded(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - one bad round must not end all the others
            _log_failure("background_failed", error, what=what)
            await asyncio.sleep(1)

    async def _round(self) -> None:
        if not await self._hold_lease():
            return
        await self._chores()
        if self._clock() >= self._look_at:
            # Set before the look: what is heard of meanwhile is looked for again.
            self._look_at = self._clock() + LOOK_EVERY
            await self._look()

    async def _look(self) -> None:
        for name in self._recurring.keys() - self._running.keys():
            self._start(name, self._recur(name))
        await self._verify_due()

    async def _hold_lease(self) -> bool:
        now = self._now()
        if now >= self._ask_at:
            self._leading = await self._lease.acquire()
            self._ask_at = now + (LIFETIME / 2 if self._leading else ASK_EVERY)
        return self._leading

    async def _chores(self) -> None:
        """Do what need not be done in every round."""
        now = self._now()
        if now < self._chores_at:
            return
        self._chores_at = now + CHORES_EVERY
        await self._database.write(lambda connection: ends.touch_ended(connection, now))
        await self._database.write(lambda connection: leases.drop_expired(connection, now))
        async with self._database.read() as connection:
            backlog.tell(await touches.backlog(connection), now=now)

    async def _recur(self, name: str) -> None:
        try:
            await self._recurring[name]()
            self._failures[name] = 0
        except Exception as error:  # noqa: BLE001 - a broken catalogue must not stop the verifies
            pause = pause_after(self._failures[name]).total_seconds()
            _log_failure("background_failed", error, what=name, next_in_seconds=round(pause, 1))
            await asyncio.sleep(pause)
            self._failures[name] = min(self._failures[name] + 1, MOST_FAILURES)

    async def _verify_due(self) -> None:
        busy = self._running.keys() - self._recurring.keys()
        free = CONCURRENCY - len(busy)
        if free == 0:
            return
        async with self._database.read() as connection:
            due = await touches.due(connection, now=self._now(), limit=CONCURRENCY)
        for touch in [each for each in due if each.customer_id not in busy][:free]:
            self._start(touch.customer_id, self._verify(touch))

    def _start(self, name: str, work: Coroutine[None, None, None]) -> None:
        task = self._running[name] = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._running.pop(name))

    async def _verify(self, touch: Touch) -> None:
        try:
            await self._verifier.verify(touch.customer_id, traceparents=touch.traceparents)
        except Exception as error:  # noqa: BLE001 - one customer must not hold up the others
            metrics.VERIFIES.labels("failed").inc()
            attempts = touch.attempts + 1
            _log_failure("verify_failed", error, customer_id=touch.customer_id, attempts=attempts)
            await self._guarded("postpone", partial(self._postpone, touch, error))

    async def _postpone(self, touch: Touch, error: Exception) -> None:
        until = self._now() + pause_after(backlog.attempts_after(touch, error) - 1)
        given_up = await self._database.write(
            lambda connection: backlog.put_off(connection, touch, error, until=until)
        )
        if given_up:
            facts = {"customer_id": touch.customer_id, "error": type(error).__name__}
            log.error("customer_parked", extra=facts)


def _log_failure(event: str, error: Exception, **facts: object) -> None:
    expected = isinstance(error, _EXPECTED)
    log.log(
        logging.WARNING if expected else logging.ERROR,
        event,
        extra={"error": type(error).__name__, **facts},
        exc_info=None if expected else error,
    )


def pause_after(attempts: int) -> timedelta:
    """Give the pause after so many failed tries: doubling from one second, with jitter."""
    longest = LONGEST_PAUSE.total_seconds()
    seconds = min(2.0 ** min(attempts, 20), longest)
    return timedelta(seconds=seconds * random.uniform(0.5, 1))  # noqa: S311 - jitter
