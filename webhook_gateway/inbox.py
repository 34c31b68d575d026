"""The inbox: deliveries that wait at the same time share one commit.

What queued while a commit ran is the next one's batch, so a lone delivery
waits for nothing and a crowd costs one flush of the disk. Each delivery has
its own outcome.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextvars import Context
from dataclasses import dataclass

from subscription_state.database import Database
from subscription_state.errors import StateUnavailable
from subscription_state.faults import place_of
from subscription_state.ingest import Delivery, Outcome, store_failed, take_in
from subscription_state.wakeups import Announcer
from webhook_gateway.metrics import Metrics

logger = logging.getLogger(__name__)

#: A commit keeps every other writer waiting. One of so many takes about three times as long
#: as one of a single event; more would save little.
MAX_BATCH = 50
#: How much may wait: no more than is answered before its senders give up.
MAX_EVENTS = 1000
MAX_BYTES = 8 * 1024 * 1024


CHANGES_NOTHING = frozenset({Outcome.DUPLICATE, Outcome.FOREIGN, Outcome.IGNORED})


class InboxFull(Exception):
    """More is waiting than is good; nothing was taken."""


class NotStored(Exception):
    """The delivery was not stored, and has to come again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Waiting:
    delivery: Delivery
    answer: asyncio.Future[Outcome]


class Inbox:
    """Takes deliveries in, in the order of their arrival."""

    def __init__(self, database: Database, announcer: Announcer, *, metrics: Metrics) -> None:
        self._database = database
        self._announcer = announcer
        self._metrics = metrics
        self._queue: deque[_Waiting] = deque()
        self._events = 0
        self._bytes = 0
        self._committing: asyncio.Task[None] | None = None

    async def take(self, delivery: Delivery) -> Outcome:
        """Return once the delivery is committed, or raise `InboxFull` or `NotStored`.

        A caller that is cancelled does not take its delivery back: it is
        committed with the others.
        """
        return await asyncio.shield(self._add(delivery))

    async def settled(self) -> None:
        """Return when all that was taken has been answered, and told to who verifies."""
        if self._committing is not None:
            await self._committing
        await self._announcer.close()

    def _add(self, delivery: Delivery) -> asyncio.Future[Outcome]:
        size = len(delivery.event.body)
        if self._events >= MAX_EVENTS or self._bytes + size > MAX_BYTES:
            raise InboxFull
        answer = asyncio.get_running_loop().create_future()
        self._hold(1, size)
        answer.add_done_callback(lambda _: self._hold(-1, -size))
        self._queue.append(_Waiting(delivery=delivery, answer=answer))
        if self._committing is None or self._committing.done():
            # Not in the name of the request that happens to begin it.
            self._committing = asyncio.create_task(self._commit_all(), context=Context())
        return answer

    def _hold(self, events: int, size: int) -> None:
        self._events += events
        self._bytes += size
        self._metrics.queue_depth.set(self._events)
        self._metrics.queue_bytes.set(self._bytes)

    async def _commit_all(self) -> None:
        while self._queue:
            size = min(len(self._queue), MAX_BATCH)
            await self._commit([self._queue.popleft() for _ in range(size)])

    async def _commit(self, batch: Sequence[_Waiting]) -> None:
        try:
            outcomes = await self._ingest([each.delivery for each in batch])
        except StateUnavailable as error:
            _refuse(batch, error)
        except Exception:  # noqa: BLE001 - one of them is at fault; alone, it shows
            await self._commit_one_by_one(batch)
        else:
            for each, outcome in zip(batch, outcomes, strict=True):
                each.answer.set_result(outcome)

    async def _ingest(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        with self._metrics.commit_seconds.time():
            taken = await take_in(self._database, deliveries)
        outcomes = [each.outcome for each in taken]
        if not CHANGES_NOTHING.issuperset(outcomes):
            self._announcer.changed()
        self._metrics.commit_batch.observe(len(deliveries))
        for each in taken:
            if each.outcome not in (Outcome.FOREIGN, Outcome.IGNORED):
                self._metrics.event_deliveries.observe(each.repeats + 1)
        return outcomes

    async def _commit_one_by_one(self, batch: Sequence[_Waiting]) -> None:
        for position, each in enumerate(batch):
            try:
                each.answer.set_result(await self._commit_alone(each.delivery))
            except NotStored as error:
                each.answer.set_exception(error)
            except StateUnavailable as error:
                # The others would only wait for the same database in turn.
                _refuse(batch[position:], error)
                return

    async def _commit_alone(self, delivery: Delivery) -> Outcome:
        try:
            return (await self._ingest([delivery]))[0]
        except StateUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not block others
            return await self._store_poison(delivery, error)

    async def _store_poison(self, delivery: Delivery, fault: Exception) -> Outcome:
        # Only the fault's type and place: its text may hold the payload.
        facts = {
            "event_id": delivery.event.event_id,
            "event_type": delivery.event.type,
            "error": type(fault).__name__,
            "error_place": place_of(fault),
        }
        try:
            outcome = await store_failed(self._database, delivery, error=type(fault).__name__)
        except StateUnavailable:
            raise
        except Exception as error:
            logger.error("webhook_event_not_stored", extra=facts)  # noqa: TRY400 - see above
            raise NotStored from error
        self._announcer.changed()
        logger.error("webhook_event_failed", extra=facts)
        return outcome


def _refuse(batch: Sequence[_Waiting], error: StateUnavailable) -> None:
    for each in batch:
        # One each: an exception that is raised in many places gathers their tracebacks.
        refusal = NotStored(str(error))
        refusal.__cause__ = error
        each.answer.set_exception(refusal)
