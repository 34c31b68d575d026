"""Finds events that Stripe has and that no webhook brought, and touches their customers."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from billing_service import metrics
from billing_service.stripe_api import Json, LiveStripe
from billing_service.sweep_runs import run_of
from subscription_state import apply, cursors, ingest, unseen
from subscription_state.database import Database
from subscription_state.errors import UnexpectedShape
from subscription_state.events import ReceivedEvent

log = logging.getLogger(__name__)

NAME = "events"
#: How far a run goes back behind the one before: `created` has whole seconds, and an
#: event may be listed a while after it happened.
OVERLAP = timedelta(minutes=10)
#: Webhooks that young are still on their way; the next run's overlap has them.
ON_ITS_WAY = timedelta(minutes=1)
#: Stripe lists no older events.
STRIPE_KEEPS = timedelta(days=30)


@dataclass(kw_only=True, slots=True)
class Swept:
    """What one run found."""

    #: Of the types that are stored.
    listed: int = 0
    unseen: int = 0
    touched: int = 0
    unreadable: int = 0


class EventSweep:
    """Compares Stripe's list of events with those that came, every `interval`.

    How far it has come is in the database, by Stripe's clock. A run that fails
    leaves that alone, so the next one covers its time too.
    """

    def __init__(
        self,
        database: Database,
        stripe: LiveStripe,
        *,
        interval: timedelta,
        on_its_way: timedelta = ON_ITS_WAY,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._stripe = stripe
        self._interval = interval
        self._on_its_way = on_its_way
        self._now = now
        self._due = datetime.fromtimestamp(0, UTC)
        # Found by the run before this one or since: overlaps tell of them again.
        self._known: set[str] = set()
        self._found: set[str] = set()

    async def run_if_due(self) -> None:
        if self._now() >= self._due:
            await self.run()

    async def run(self) -> Swept:
        """Sweep now; raise where Stripe or the database did not answer."""
        began = self._now()
        with run_of(NAME, began) as run:
            swept = await self._sweep(await self._since())
            run.outcome = "unseen" if swept.unseen else "nothing"
        self._due = began + self._interval
        self._known, self._found = self._found, set()
        log.info("events_swept", extra={**asdict(swept), "next": self._due.isoformat()})
        return swept

    async def _since(self) -> datetime | None:
        """Tell how far back to look; None for as far as Stripe goes."""
        async with self._database.read() as connection:
            value = await cursors.get(connection, NAME)
        if value is None:
            return None
        cursor = datetime.fromisoformat(value)
        if cursor < self._now() - STRIPE_KEEPS:
            log.warning("events_lost", extra={"since": value})
        return cursor - OVERLAP

    async def _sweep(self, since: datetime | None) -> Swept:
        """Go from the newest to the oldest, as Stripe lists them: touches know no order."""
        swept = Swept()
        began: datetime | None = None
        async for page in self._stripe.events(since):
            began = began or page.start
            events = list(self._readable(page.objects, swept))
            settled = [each for each in events if each.create_time <= began - self._on_its_way]
            await self._touch_unseen(settled, swept)
        if began is not None:
            await self._advance(began)
        return swept

    def _readable(self, listed: Iterable[Json], swept: Swept) -> Iterable[ReceivedEvent]:
        for raw in listed:
            if not apply.is_of_interest(str(raw.get("type"))):
                continue
            swept.listed += 1
            try:
                yield ingest.delivery_from_stripe(raw, b"", received=self._now()).event
            except UnexpectedShape:
                # One that nobody can read must not stop all that come after it.
                swept.unreadable += 1

    async def _touch_unseen(self, events: list[ReceivedEvent], swept: Swept) -> None:
        async with self._database.read() as connection:
            missed = await unseen.unseen(connection, events)
        self._found |= {each.event_id for each in missed}
        news = [each for each in missed if each.event_id not in self._known]
        if not news:
            return
        swept.touched += await self._database.write(
            lambda connection: unseen.touch(connection, news, now=self._now())
        )
        self._known |= {each.event_id for each in news}
        swept.unseen += len(news)
        metrics.SWEEP_UNSEEN.inc(len(news))

    async def _advance(self, began: datetime) -> None:
        await self._database.write(
            lambda connection: cursors.put(connection, NAME, began.isoformat(), now=self._now())
        )
