"""Reads an account from Stripe now, and gives what is then known of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_service import audit
from billing_service.account_customers import AccountCustomers
from billing_service.audit import Method
from billing_service.errors import CustomerNotFound
from billing_service.stripe_api import LiveStripe
from billing_service.verifier import Verifier
from subscription_state import customers, head, subscriptions
from subscription_state.database import Database
from subscription_state.model import StoredSubscription, Subscription
from subscription_state.revision import Revision


@dataclass(frozen=True, kw_only=True, slots=True)
class Refreshed:
    """An account as Stripe says that it is."""

    customer_id: str
    #: Newest first.
    subscriptions: tuple[StoredSubscription, ...]
    #: What was here before differed from it.
    drifted: bool
    revision: Revision


@dataclass(frozen=True, kw_only=True, slots=True)
class _Held:
    subscriptions: tuple[StoredSubscription, ...]
    deleted: bool
    revision: Revision

    @property
    def content(self) -> tuple[bool, tuple[Subscription, ...]]:
        """What Stripe decides, without how fresh it is."""
        return self.deleted, tuple(each.subscription for each in self.subscriptions)


class AccountRefresh:
    """Compares accounts with Stripe because somebody asks for it."""

    def __init__(
        self,
        database: Database,
        stripe: LiveStripe,
        verifier: Verifier,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._customers = AccountCustomers(database, stripe)
        self._verifier = verifier
        self._now = now

    async def refresh(self, account_id: str) -> Refreshed:
        """Raise `CustomerNotFound` where the account has none that Stripe still knows."""
        customer = await self._customers.find(account_id)
        if customer is None:
            raise CustomerNotFound(account_id)
        before = await self._held(account_id, customer.customer_id)
        await self._verifier.verify(customer.customer_id)
        after = await self._held(account_id, customer.customer_id)
        return Refreshed(
            customer_id=customer.customer_id,
            subscriptions=after.subscriptions,
            # Not what this verify found: a read by somebody else may have answered it.
            drifted=before.content != after.content,
            revision=after.revision,
        )

    async def refresh_for_caller(self, account_id: str) -> Refreshed:
        """Do as `refresh` does, and note who wanted it."""
        refreshed = await self.refresh(account_id)
        facts = {"customer_id": refreshed.customer_id, "drifted": str(refreshed.drifted).lower()}

        async def work(connection: AsyncConnection) -> None:
            method = Method.REFRESH_ACCOUNT
            await audit.note(connection, method, account_id, now=self._now(), **facts)

        await self._database.write(work)
        return refreshed

    async def _held(self, account_id: str, customer_id: str) -> _Held:
        async with self._database.read() as connection:
            known = await customers.get(connection, customer_id)
            return _Held(
                subscriptions=tuple(await subscriptions.of_account(connection, account_id)),
                deleted=known is not None and known.deleted,
                revision=await head.current(connection),
            )
