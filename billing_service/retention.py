"""Drops what is not kept for ever, a little every few minutes."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from billing_service import metrics
from subscription_state import retention
from subscription_state.database import Database
from subscription_state.events import Place

log = logging.getLogger(__name__)

EVERY = timedelta(minutes=5)
#: How long caches and streams may be away and still learn what they missed.
CHANGES_KEPT = timedelta(hours=24)

_LONG_AGO = datetime.fromtimestamp(0, UTC)


class Retention:
    """Erases old events' bodies and deletes old changes."""

    def __init__(
        self,
        database: Database,
        *,
        bodies_kept: timedelta,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._bodies_kept = bodies_kept
        self._now = now
        self._due_at = _LONG_AGO
        #: Up to here no event has a body: each is looked at once in a process's life.
        self._done: Place | None = None

    async def run_if_due(self) -> None:
        now = self._now()
        if now < self._due_at:
            return
        self._due_at = now + EVERY
        bodies = await self._drop_bodies(now - self._bodies_kept)
        changes = await self._drop_changes(now - CHANGES_KEPT)
        # Also when there was nothing to drop: silence would look like not running.
        log.info("retention_applied", extra={"bodies": bodies, "changes": changes})
        metrics.RETENTION_DROPPED.labels("bodies").inc(bodies)
        metrics.RETENTION_DROPPED.labels("changes").inc(changes)
        metrics.LAST_RETENTION.set(now.timestamp())

    async def _drop_bodies(self, before: datetime) -> int:
        dropped, more = 0, True
        while more:
            batch = await retention.drop_bodies(self._database, before=before, after=self._done)
            dropped += batch.dropped
            more = batch.next_after is not None
            self._done = batch.next_after or self._done
        return dropped

    async def _drop_changes(self, before: datetime) -> int:
        dropped = 0
        while True:
            batch = await self._database.write(
                lambda connection: retention.drop_changes(connection, before=before)
            )
            dropped += batch
            if batch < retention.BATCH:
                return dropped
