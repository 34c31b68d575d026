"""Compares customers with Stripe all the time, the longest unverified first, to show drift."""

import logging
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_service.sweep_runs import run_of
from billing_service.verifier import Verifier
from subscription_state import customers, head, touches
from subscription_state.database import Database

log = logging.getLogger(__name__)

NAME = "oldest"
#: One customer every so often.
EVERY = timedelta(seconds=5)
#: Who was verified since then is left alone.
REST = timedelta(hours=1)
#: So many are looked up at a time.
BATCH = 100


class OldestSweep:
    """Verifies one customer whenever that is due, touched or not."""

    def __init__(
        self,
        database: Database,
        verifier: Verifier,
        *,
        every: timedelta = EVERY,
        rest: timedelta = REST,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._verifier = verifier
        self._every = every
        self._rest = rest
        self._now = now
        self._due = datetime.fromtimestamp(0, UTC)
        self._waiting: deque[str] = deque()

    async def run_if_due(self) -> None:
        now = self._now()
        if now >= self._due:
            self._due = now + self._every
            await self.run()

    async def run(self) -> None:
        """Verify the next; raise where it could not be, and leave it to the backlog."""
        with run_of(NAME, self._now()) as run:
            customer_id = await self._next()
            if customer_id is None:
                run.outcome = "nothing"
                return
            drift = await self._verify(customer_id)
            run.outcome = "drift" if drift else "same"
        log.log(
            logging.WARNING if drift else logging.DEBUG,
            "oldest_swept",
            extra={"customer_id": customer_id, "drift": drift},
        )

    async def _next(self) -> str | None:
        if not self._waiting:
            before = self._now() - self._rest
            async with self._database.read() as connection:
                self._waiting.extend(
                    await customers.longest_unverified(connection, before=before, limit=BATCH)
                )
        return self._waiting.popleft() if self._waiting else None

    async def _verify(self, customer_id: str) -> int:
        try:
            return (await self._verifier.verify(customer_id)).drift
        except Exception:
            # There it is tried again, ever less often, and holds up no other.
            await self._database.write(lambda connection: self._touch(connection, customer_id))
            raise

    async def _touch(self, connection: AsyncConnection, customer_id: str) -> None:
        await customers.lock(connection, [customer_id])
        ticket = await head.draw(connection)
        await touches.touch(connection, customer_id, ticket=ticket, urgent=False, now=self._now())
