"""Ties a customer that exists at Stripe to an account, here and at Stripe."""

from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_service import audit
from billing_service.account_refresh import AccountRefresh, Refreshed
from billing_service.audit import Method
from billing_service.errors import CustomerLinked, CustomerNotFound
from billing_service.leased import locked
from billing_service.stripe_api import LiveStripe
from billing_service.stripe_errors import StripeRefused
from subscription_state import customers, head
from subscription_state.database import Database
from subscription_state.from_stripe import ACCOUNT_ID_KEY, account_of


class AccountLinks:
    """Links accounts and customers that were made apart."""

    def __init__(
        self,
        database: Database,
        stripe: LiveStripe,
        refresh: AccountRefresh,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """Build it; `changed` is called after each commit that changed an account."""
        self._database = database
        self._stripe = stripe
        self._refresh = refresh
        self._now = now
        self._changed = changed

    async def link(self, account_id: str, customer_id: str) -> Refreshed:
        """Tie them to each other; a repetition, also after half of it, does what is left.

        Raise `CustomerNotFound`, or `CustomerLinked` where either is tied to another.
        """
        # A checkout of the account would make a customer for it meanwhile.
        async with locked(self._database, f"checkout:{account_id}"):
            named = await self._account_named_at_stripe(account_id, customer_id)
            if named not in (None, account_id):
                raise CustomerLinked(named, customer_id)
            # The database decides first: what Stripe is told must be what holds here.
            await self._link_here(account_id, customer_id)
            if named is None:
                await self._name_at_stripe(account_id, customer_id)
        return await self._refresh.refresh(account_id)

    async def _account_named_at_stripe(self, account_id: str, customer_id: str) -> str | None:
        try:
            raw = await self._stripe.customer(customer_id)
        except StripeRefused as refusal:
            if not refusal.is_missing:
                raise
            raise CustomerNotFound.at_stripe(account_id, customer_id) from refusal
        if raw.get("deleted"):
            raise CustomerNotFound.at_stripe(account_id, customer_id)
        return account_of(raw)

    async def _link_here(self, account_id: str, customer_id: str) -> None:
        async def work(connection: AsyncConnection) -> None:
            await customers.lock(connection, [customer_id])
            if await customers.link(connection, customer_id, account_id):
                now = self._now()
                await _note(connection, account_id, customer_id, now)
                # What the customer pays for is the account's from now on.
                revision = await head.draw(connection)
                await customers.record_change(connection, account_id, revision, now)
                return
            await _raise_other_link(connection, account_id, customer_id)

        await self._database.write(work)
        self._changed()

    async def _name_at_stripe(self, account_id: str, customer_id: str) -> None:
        """Let Stripe remember it, so that a database that is built anew finds it."""
        await self._stripe.update_customer(customer_id, {"metadata": {ACCOUNT_ID_KEY: account_id}})


async def _note(
    connection: AsyncConnection, account_id: str, customer_id: str, now: datetime
) -> None:
    facts = {"customer_id": customer_id}
    await audit.note(connection, Method.LINK_CUSTOMER, account_id, now=now, **facts)


async def _raise_other_link(connection: AsyncConnection, account_id: str, customer_id: str) -> None:
    """Raise `CustomerLinked` unless the two are tied to each other."""
    customer = await customers.get(connection, customer_id)
    if customer is not None and customer.account_id == account_id:
        return
    if customer is not None and customer.account_id is not None:
        raise CustomerLinked(customer.account_id, customer_id)
    holder = await customers.of_account(connection, account_id)
    raise CustomerLinked(account_id, holder.customer_id if holder else customer_id)
