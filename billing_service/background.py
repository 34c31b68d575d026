"""Work that goes on by itself: the backlog of touched customers, the mirror, ends by the clock.

One replica at a time does it, the one that holds the lease `background`; when it
dies, another takes over as soon as the lease has run out.
"""

import asyncio
import logging
import random
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from billing_service import metrics
from billing_service.errors import BillingError
from billing_service.mirror import Mirror
from billing_service.stripe_errors import StripeRefused
from billing_service.verifier import Verifier
from subscription_state import ends, leases, touches
from subscription_state.database import Database
from subscription_state.errors import StateError
from subscription_state.touches import Touch

log = logging.getLogger(__name__)

LEASE = "background"
LEASE_LIFETIME = timedelta(seconds=8)
POLL = 0.1
#: How many customers are read at a time.
CONCURRENCY = 4
ENDS_EVERY = timedelta(seconds=1)
#: The longest pause between tries for a customer that cannot be verified.
LONGEST_PAUSE = timedelta(minutes=10)

#: What may be expected to fail, and needs no traceback.
_EXPECTED = (BillingError, StateError, StripeRefused)
_LONG_AGO = datetime.fromtimestamp(0, UTC)


class Background:
    """Works the backlog off, until it is stopped."""

    def __init__(
        self,
        database: Database,
        verifier: Verifier,
        mirror: Mirror,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._verifier = verifier
        self._mirror = mirror
        self._now = now
        self._holder = uuid.uuid4().hex
        self._lease_until = _LONG_AGO
        self._ends_at = _LONG_AGO

    async def run(self) -> None:
        """Work until cancelled; whatever fails is tried again."""
        try:
            while True:
                await self._guarded("round", self._round)
                await asyncio.sleep(POLL)
        finally:
            await asyncio.shield(self._guarded("release", self._give_up_lease))

    async def _guarded(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - one bad round must not end all the others
            _log_failure("background_failed", error, what=what)
            await asyncio.sleep(1)

    async def _round(self) -> None:
        if not await self._hold_lease():
            return
        await self._touch_ended()
        await self._guarded("mirror", self._mirror.refresh_if_due)
        await self._verify_due()

    async def _hold_lease(self) -> bool:
        now = self._now()
        if now < self._lease_until - LEASE_LIFETIME / 2:
            return True
        held = await self._database.write(
            lambda connection: leases.acquire(
                connection, LEASE, holder=self._holder, now=now, lifetime=LEASE_LIFETIME
            )
        )
        self._lease_until = now + LEASE_LIFETIME if held else self._lease_until
        return held

    async def _give_up_lease(self) -> None:
        await self._database.write(
            lambda connection: leases.release(connection, LEASE, holder=self._holder)
        )

    async def _touch_ended(self) -> None:
        now = self._now()
        if now < self._ends_at:
            return
        self._ends_at = now + ENDS_EVERY
        await self._database.write(lambda connection: ends.touch_ended(connection, now))

    async def _verify_due(self) -> None:
        async with self._database.read() as connection:
            due = await touches.due(connection, now=self._now(), limit=CONCURRENCY)
            backlog = await touches.backlog(connection)
        metrics.TOUCHED.set(backlog.customers)
        metrics.OLDEST_TOUCH.set(
            (self._now() - backlog.oldest).total_seconds() if backlog.oldest else 0
        )
        async with asyncio.TaskGroup() as group:
            for touch in due:
                group.create_task(self._verify(touch))

    async def _verify(self, touch: Touch) -> None:
        try:
            await self._verifier.verify(touch.customer_id)
        except Exception as error:  # noqa: BLE001 - one customer must not hold up the others
            metrics.VERIFIES.labels("failed").inc()
            attempts = touch.attempts + 1
            _log_failure("verify_failed", error, customer_id=touch.customer_id, attempts=attempts)
            until = self._now() + pause_after(touch.attempts)
            await self._database.write(
                lambda connection: touches.postpone(connection, touch.customer_id, until=until)
            )


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
