"""Rule 2, verify soon: compare a customer with Stripe and save what Stripe says."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_service import metrics
from billing_service.customer_reader import read_customer
from billing_service.errors import StripeUnavailable
from billing_service.stripe_api import LiveStripe
from subscription_state import customers, head, leases, subscriptions, verification
from subscription_state.database import Database
from subscription_state.model import LIVE

log = logging.getLogger(__name__)

#: How long a verify may hold its customer; longer than any read takes.
CLAIM = timedelta(seconds=60)
CLAIM_POLL = 0.05
READ_ATTEMPTS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """What a verify found."""

    #: How many subscriptions differed from what Stripe said.
    drift: int


class Verifier:
    """Verifies customers, each by one read at a time over all replicas."""

    def __init__(
        self,
        database: Database,
        stripe: LiveStripe,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._stripe = stripe
        self._now = now

    async def verify(self, customer_id: str) -> Verified:
        """Return when a read of the customer that began after this call has been saved.

        Raise `StripeUnavailable` or `StateUnavailable` where that could not be.
        """
        need = await self._database.write(head.draw)
        holder = uuid.uuid4().hex
        while not await self._claim(customer_id, holder):
            await asyncio.sleep(CLAIM_POLL)
            if await self._read_since(customer_id, need):
                return Verified(drift=0)
        try:
            return await self._read_and_save(customer_id)
        finally:
            await asyncio.shield(self._release(customer_id, holder))

    async def _read_and_save(self, customer_id: str) -> Verified:
        for _attempt in range(READ_ATTEMPTS):
            saved = await self._read_once(customer_id)
            if saved.fresh:
                self._count(saved)
                return Verified(drift=saved.drift)
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
        return await self._database.write(self._saving(read))

    def _saving(
        self, read: verification.CustomerRead
    ) -> Callable[[AsyncConnection], Awaitable[verification.Saved]]:
        async def work(connection: AsyncConnection) -> verification.Saved:
            saved = await verification.save_read(connection, read, now=self._now())
            if saved.fresh and saved.drift:
                await self._report_doubles(connection, read.customer_id)
            return saved

        return work

    async def _report_doubles(self, connection: AsyncConnection, customer_id: str) -> None:
        """Say so where a customer pays twice for one product: never a silent double."""
        stored = await subscriptions.of_customer(connection, customer_id)
        live = [each.subscription for each in stored if each.subscription.status in LIVE]
        held: set[str] = set()
        for subscription in live:
            if held & subscription.product_ids:
                metrics.DOUBLE_SUBSCRIPTIONS.inc()
                log.warning(
                    "second_live_subscription",
                    extra={
                        "customer_id": customer_id,
                        "subscription_id": subscription.subscription_id,
                    },
                )
            held |= subscription.product_ids

    def _count(self, saved: verification.Saved) -> None:
        metrics.VERIFIES.labels("drift" if saved.drift else "same").inc()
        metrics.DRIFT.inc(saved.drift)
        metrics.LAST_VERIFY.set(self._now().timestamp())

    async def _claim(self, customer_id: str, holder: str) -> bool:
        return await self._database.write(
            lambda connection: leases.acquire(
                connection,
                f"verify:{customer_id}",
                holder=holder,
                now=self._now(),
                lifetime=CLAIM,
            )
        )

    async def _release(self, customer_id: str, holder: str) -> None:
        await self._database.write(
            lambda connection: leases.release(connection, f"verify:{customer_id}", holder=holder)
        )

    async def _read_since(self, customer_id: str, need: int) -> bool:
        async with self._database.read() as connection:
            known = await customers.get(connection, customer_id)
        return known is not None and known.read_ticket >= need
