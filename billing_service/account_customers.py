"""Gives every account exactly one Stripe customer, under concurrency and retries."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_service import audit
from billing_service.audit import Method
from billing_service.errors import InvalidRequest, Violation
from billing_service.stripe_api import LiveStripe
from billing_service.stripe_errors import StripeRefused
from subscription_state import customers
from subscription_state.customers import Customer
from subscription_state.database import Database
from subscription_state.from_stripe import ACCOUNT_ID_KEY


class AccountCustomers:
    """Finds an account's customer, or creates it; call it under the account's lock."""

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

    async def find(self, account_id: str) -> Customer | None:
        """Find the account's customer; None where it has none that Stripe still knows."""
        async with self._database.read() as connection:
            known = await customers.of_account(connection, account_id)
        return None if known is None or known.deleted else known

    async def ensure(self, account_id: str, email: str) -> str:
        """Give the id of the account's customer, which may have just been made.

        A made one is not always new to Stripe: a repeated creation gives the customer
        of before, with what it subscribes to.
        """
        async with self._database.read() as connection:
            known = await customers.of_account(connection, account_id)
        if known is not None and not known.deleted:
            return known.customer_id
        customer_id = await self._create(account_id, replaces=known)
        if email:
            await self._set_email(customer_id, email)
        return await self._link(customer_id, account_id)

    async def forget(self, customer_id: str) -> None:
        """Note that Stripe knows the customer no more."""

        async def work(connection: AsyncConnection) -> None:
            await customers.lock(connection, [customer_id])
            await customers.mark_deleted(connection, customer_id)

        await self._database.write(work)

    async def _create(self, account_id: str, *, replaces: Customer | None) -> str:
        """Create the customer under a key of the account's own.

        Two replicas, or a retry after a crash, then get the same customer. The
        request must be the same each time, so the e-mail address comes later.
        """
        raw = await self._stripe.create_customer(
            {"metadata": {ACCOUNT_ID_KEY: account_id}},
            idempotency_key=_creation_key(account_id, replaces),
        )
        return str(raw["id"])

    async def _set_email(self, customer_id: str, email: str) -> None:
        try:
            await self._stripe.update_customer(customer_id, {"email": email})
        except StripeRefused as refusal:
            if refusal.is_missing:
                # A repeated creation, of a customer that is gone: whoever uses it finds out.
                return
            violation = Violation(field="customer_email", description="Stripe does not accept it.")
            raise InvalidRequest(violation) from refusal

    async def _link(self, customer_id: str, account_id: str) -> str:
        async def work(connection: AsyncConnection) -> str:
            await customers.lock(connection, [customer_id])
            # Its event may have tied them to each other meanwhile: it was made here all the same.
            await customers.link(connection, customer_id, account_id)
            facts = {"customer_id": customer_id}
            method = Method.CREATE_CHECKOUT_SESSION  # nothing else makes customers
            await audit.note(connection, method, account_id, now=self._now(), **facts)
            owner = await customers.of_account(connection, account_id)
            return customer_id if owner is None else owner.customer_id

        return await self._database.write(work)


def _creation_key(account_id: str, replaces: Customer | None) -> str:
    """Name the creation. Hashed: an account's id may hold what no HTTP header can."""
    named = json.dumps([account_id, replaces.customer_id if replaces else None])
    return f"customer:{hashlib.sha256(named.encode()).hexdigest()}"
