"""Rule 2, verify soon: compare a customer with Stripe and save what Stripe says."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_service import metrics
from billing_service.customer_reader import read_customer
from billing_service.errors import StripeUnavailable
from billing_service.leased import Lease
from billing_service.stripe_api import LiveStripe
from subscription_state import customers, head, subscriptions, tracing, verification
from subscription_state.database import Database

log = logging.getLogger(__name__)

CLAIM_POLL = 0.05
READ_ATTEMPTS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """What a verify found."""

    #: How many subscriptions differed from what Stripe said.
    drift: int
    #: The spans that had asked for it, as `traceparent`s.
    traceparents: tuple[str, ...] = ()


class Verifier:
    """Verifies customers, each by one read at a time over all replicas."""

    def __init__(
        self,
        database: Database,
        stripe: LiveStripe,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """Build it; `changed` is called after each commit that changed an account."""
        self._database = database
        self._stripe = stripe
        self._changed = changed
        self._now = now

    async def verify(self, customer_id: str, *, traceparents: Sequence[str] = ()) -> Verified:
        """Return when a read of the customer that began after this call has been saved.

        It is part of the current span, or else of the first of `traceparents`. Raise
        `StripeUnavailable` or `StateUnavailable` where that could not be.
        """
        facts = {"paidup.customer_id": customer_id}
        with tracing.span("verify", facts, follows=traceparents) as span:
            verified = await self._verify(customer_id)
            span.note({"paidup.drift": verified.drift})
            span.link(verified.traceparents)
            return verified

    async def _verify(self, customer_id: str) -> Verified:
        # Not under the claim: somebody may come who waits for this very customer.
        await self._stripe.turn()
        need = await self._database.write(head.draw)
        claim = Lease(self._database, f"verify:{customer_id}", now=self._now)
        while not await claim.acquire():
            await asyncio.sleep(CLAIM_POLL)
            if await self._read_since(customer_id, need):
                return Verified(drift=0)
        async with claim.held():
            return await self._read_and_save(customer_id)

    async def _read_and_save(self, customer_id: str) -> Verified:
        for _attempt in range(READ_ATTEMPTS):
            saved = await self._read_once(customer_id)
            if saved.fresh:
                self._count(saved)
                return Verified(drift=saved.drift, traceparents=saved.traceparents)
            metrics.VERIFIES.labels("overtaken").inc()
        raise StripeUnavailable

    async def _read_once(self, customer_id: str) -> verification.Saved:
        ticket = await self._database.write(head.draw)
        async with self._database.read() as connection:
            known = await customers.get(connection, customer_id)
        read = await read_customer(
            self._stripe,
            customer_id,
            ticket=ticket,
            known_account=known.account_id if known else None,
        )
        return await self._save(read)

    async def _save(self, read: verification.CustomerRead) -> verification.Saved:
        async def work(connection: AsyncConnection) -> tuple[verification.Saved, list[str]]:
            saved = await verification.save_read(connection, read, now=self._now())
            if not saved.drift:
                return saved, []
            return saved, await _second_subscriptions(connection, read.customer_id)

        # Told after the commit: the database may ask for the work again.
        saved, doubles = await self._database.write(work)
        if saved.changed:
            self._changed()
        for subscription_id in doubles:
            metrics.DOUBLE_SUBSCRIPTIONS.inc()
            facts = {"customer_id": read.customer_id, "subscription_id": subscription_id}
            log.warning("second_live_subscription", extra=facts)
        return saved

    def _count(self, saved: verification.Saved) -> None:
        metrics.VERIFIES.labels("drift" if saved.drift else "same").inc()
        metrics.DRIFT.inc(saved.drift)
        metrics.LAST_VERIFY.set(self._now().timestamp())
        metrics.VERIFIED.restart()

    async def _read_since(self, customer_id: str, need: int) -> bool:
        async with self._database.read() as connection:
            known = await customers.get(connection, customer_id)
        return known is not None and known.read_ticket >= need


async def _second_subscriptions(connection: AsyncConnection, customer_id: str) -> list[str]:
    """Name those by which a customer pays again for a product: never a silent double."""
    stored = await subscriptions.of_customer(connection, customer_id)
    live = [each.subscription for each in stored if each.subscription.live]
    held: set[str] = set()
    seconds = []
    for subscription in sorted(live, key=lambda each: each.create_time):
        if held & subscription.product_ids:
            seconds.append(subscription.subscription_id)
        held |= subscription.product_ids
    return seconds
