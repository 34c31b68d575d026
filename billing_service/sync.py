"""`sync`: compares every customer with Stripe and saves what differs.

By the background's share of the budget, in the order of the customers' ids. How
far it has come is in the database: interrupted, it goes on from there.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from billing_service.background import pause_after
from billing_service.errors import RetryLater, StripeMisconfigured
from billing_service.leased import LIFETIME, Lease
from billing_service.stripe_api import LiveStripe
from billing_service.verifier import Verified, Verifier
from subscription_state import cursors, customers
from subscription_state.database import Database
from subscription_state.errors import StateUnavailable

log = logging.getLogger(__name__)

#: Of the cursor, and of the lease: two at a time would do the same work twice.
NAME = "sync"
#: So many are compared at a time; then the checkpoint is saved.
AT_ONCE = 8
#: How often a customer is tried while Stripe or the database is away.
TRIES = 6
#: How long the lease of one that was killed is waited for, in seconds. It has run out by then.
PATIENCE = LIFETIME.total_seconds() + 1
ASK_EVERY = 0.5


class AlreadyRunning(Exception):
    """Another `sync` is at work on this database; this one did nothing."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"Another sync is running: {holder or 'it ended just now'}.")


@dataclass(kw_only=True, slots=True)
class Tally:
    """What was found, over all runs since the beginning."""

    compared: int = 0
    differed: int = 0
    failed: int = 0

    @property
    def done(self) -> int:
        return self.compared + self.failed


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """How far an interrupted run had come."""

    after: str = ""
    tally: Tally = field(default_factory=Tally)


class Progress(Protocol):
    """Shows a person how far it is."""

    def begin(self, *, done: int, total: int) -> None: ...
    def advance(self, count: int) -> None: ...
    def failed(self, customer_id: str, error: Exception) -> None: ...


class Sync:
    """One run over all customers, those of Stripe's and those known here."""

    def __init__(
        self,
        database: Database,
        stripe: LiveStripe,
        progress: Progress,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._stripe = stripe.in_background()
        self._verifier = Verifier(database, self._stripe)
        self._progress = progress
        self._now = now

    async def run(self) -> Tally:
        """Compare all; raise where Stripe or the database stays away, to be run again.

        Raise `AlreadyRunning` where somebody else does it.
        """
        lease = Lease(self._database, NAME, now=self._now)
        for _ in range(round(PATIENCE / ASK_EVERY)):
            if await lease.acquire():
                break
            await asyncio.sleep(ASK_EVERY)
        else:
            raise AlreadyRunning(await lease.others())
        async with lease.held():
            return await self._run()

    async def _run(self) -> Tally:
        checkpoint = await self._checkpoint()
        tally = checkpoint.tally
        left = [each for each in await self._everybody() if each > checkpoint.after]
        self._progress.begin(done=tally.done, total=tally.done + len(left))
        for start in range(0, len(left), AT_ONCE):
            await self._compare_all(left[start : start + AT_ONCE], tally)
        await self._database.write(lambda connection: cursors.drop(connection, NAME))
        return tally

    async def _everybody(self) -> list[str]:
        """List all ids first, a hundred a call: the rest is then known, and how long it takes."""
        async with self._database.read() as connection:
            found = set(await customers.not_deleted(connection))
        async for page in self._stripe.customers():
            found |= {each["id"] for each in page.objects}
        return sorted(found)

    async def _compare_all(self, customer_ids: Sequence[str], tally: Tally) -> None:
        drifts = await asyncio.gather(
            *(self._compare(each) for each in customer_ids), return_exceptions=True
        )
        for drift in drifts:
            if isinstance(drift, BaseException):
                raise drift
            tally.compared += drift is not None
            tally.differed += bool(drift)
            tally.failed += drift is None
        await self._save(Checkpoint(after=customer_ids[-1], tally=tally))
        self._progress.advance(len(customer_ids))

    async def _compare(self, customer_id: str) -> int | None:
        """Give how many subscriptions differed; None where it could not be told."""
        try:
            return (await self._patiently(customer_id)).drift
        except (RetryLater, StateUnavailable, StripeMisconfigured):
            # It would befall all the others too.
            raise
        except Exception as error:  # noqa: BLE001 - one customer must not hold up the others
            log.warning(
                "sync_failed", extra={"customer_id": customer_id, "error": type(error).__name__}
            )
            self._progress.failed(customer_id, error)
            return None

    async def _patiently(self, customer_id: str) -> Verified:
        for attempt in range(TRIES - 1):
            try:
                return await self._verifier.verify(customer_id)
            except (RetryLater, StateUnavailable):
                await asyncio.sleep(pause_after(attempt).total_seconds())
        return await self._verifier.verify(customer_id)

    async def _checkpoint(self) -> Checkpoint:
        async with self._database.read() as connection:
            value = await cursors.get(connection, NAME)
        if value is None:
            return Checkpoint()
        saved = json.loads(value)
        return Checkpoint(after=saved["after"], tally=Tally(**saved["tally"]))

    async def _save(self, checkpoint: Checkpoint) -> None:
        value = json.dumps(asdict(checkpoint))
        await self._database.write(
            lambda connection: cursors.put(connection, NAME, value, now=self._now())
        )
