"""Tries events again that could not be applied: a fault may pass, or be repaired."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from billing_service import metrics
from billing_service.event_log import EventLog
from subscription_state import events
from subscription_state.database import Database

log = logging.getLogger(__name__)

LOOK_EVERY = timedelta(seconds=5)
#: Counting looks at every event that is stored.
COUNT_EVERY = timedelta(minutes=1)
BATCH = 20

_LONG_AGO = datetime.fromtimestamp(0, UTC)


class EventRetries:
    """Works off the events whose next try is due, each by itself."""

    def __init__(
        self,
        database: Database,
        event_log: EventLog,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._event_log = event_log
        self._now = now
        self._look_at = self._count_at = _LONG_AGO

    async def run_if_due(self) -> None:
        now = self._now()
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            await self._retry_due(now)
        if now >= self._count_at:
            self._count_at = now + COUNT_EVERY
            await self._count()

    async def _retry_due(self, now: datetime) -> None:
        async with self._database.read() as connection:
            due = await events.due(connection, now=now, limit=BATCH)
        for event in due:
            # One that was erased meanwhile has its customer touched, and is due no more.
            await self._event_log.apply_again(event)
        if due:
            log.info("events_tried_again", extra={"events": len(due)})
            self._count_at = now

    async def _count(self) -> None:
        async with self._database.read() as connection:
            failed = await events.count_failed(connection)
        metrics.FAILED_EVENTS.labels("false").set(failed.waiting)
        metrics.FAILED_EVENTS.labels("true").set(failed.parked)
