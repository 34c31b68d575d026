"""The events that were stored: listed page by page, and applied again."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_service import audit, metrics, page_tokens
from billing_service.audit import Method
from billing_service.errors import EventNotFound
from billing_service.verifier import Verifier
from subscription_state import customers, events, replay
from subscription_state.database import Database
from subscription_state.errors import BodyUnreadable, StateUnavailable
from subscription_state.events import EventFilter, EventState, Place, StoredEvent
from subscription_state.faults import place_of
from subscription_state.replay import Beside

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class EventPage:
    """Some events, newest first, and where the next ones are."""

    events: tuple[StoredEvent, ...]
    #: Empty on the last page.
    next_page_token: str


class EventLog:
    """What was received, and what became of it."""

    def __init__(
        self,
        database: Database,
        verifier: Verifier,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """Build it; `changed` is called after each commit that touched a customer."""
        self._database = database
        self._verifier = verifier
        self._changed = changed
        self._now = now

    async def list_page(self, wanted: EventFilter, *, size: int, token: str) -> EventPage:
        """Give one page; raise `InvalidToken` for a token of another list."""
        of = ("events", wanted.account_id, wanted.state.value if wanted.state else "")
        after = _place(page_tokens.decode(token, of=of)) if token else None
        async with self._database.read() as connection:
            # One more than asked for tells whether there is another page.
            found = await events.newest(connection, wanted, limit=size + 1, after=after)
        page, more = found[:size], found[size:]
        return EventPage(
            events=tuple(page),
            next_page_token=page_tokens.encode(_key(page[-1]), of=of) if more else "",
        )

    async def replay(self, event_id: str) -> StoredEvent:
        """Apply the event again; give it with what became of it this time.

        Where its content is gone, its customer is read from Stripe instead, and newer
        state than the event's is there.
        """
        known = await self._get(event_id)
        if not await self._apply(known, partial(self._audit, known)):
            if known.customer_id is not None:
                await self._verifier.verify(known.customer_id)
            await replay.note_superseded(self._database, event_id)
        return await self._get(event_id)

    async def apply_again(self, known: StoredEvent) -> bool:
        """Apply the event and note what became of it, a fault too; False where its body is gone."""
        return await self._apply(known, _nobody_asked)

    async def _apply(self, known: StoredEvent, beside: Beside) -> bool:
        state: EventState | None
        now = self._now()
        try:
            state = await replay.apply_again(self._database, known, now=now, beside=beside)
        except StateUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what became of the event
            await self._note_failed(known, error, beside)
            state = EventState.FAILED
        self._changed()
        return state is not None

    async def _audit(self, known: StoredEvent, connection: AsyncConnection, came_to: str) -> None:
        customer = known.customer_id and await customers.get(connection, known.customer_id)
        account_id = (customer and customer.account_id) or ""
        facts = {"event_id": known.event_id, "outcome": came_to}
        await audit.note(connection, Method.REPLAY_EVENT, account_id, now=self._now(), **facts)

    async def _note_failed(self, known: StoredEvent, error: Exception, beside: Beside) -> None:
        # Only the fault's type and place: its text may hold the payload.
        name = type(error).__name__
        if isinstance(error, BodyUnreadable):
            metrics.UNREADABLE_BODIES.labels(name).inc()
        facts = {"event_id": known.event_id, "error": name, "error_place": place_of(error)}
        log.error("event_failed_again", extra=facts)
        now = self._now()
        await replay.note_failed(self._database, known, name, now=now, beside=beside)

    async def _get(self, event_id: str) -> StoredEvent:
        async with self._database.read() as connection:
            known = await events.get(connection, event_id)
        if known is None:
            raise EventNotFound(event_id)
        return known


async def _nobody_asked(_connection: AsyncConnection, _came_to: str) -> None:
    """Note nothing: the service tried by itself."""


def _key(event: StoredEvent) -> list[str]:
    return [event.receive_time.isoformat(), event.event_id]


def _place(key: list[str]) -> Place:
    """Read a token's place. Anybody can make a token up, so nothing in it is relied on."""
    moment, event_id = page_tokens.moment_and_id(key)
    return Place(receive_time=moment, event_id=event_id)
