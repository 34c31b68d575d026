"""Opens Stripe's customer portal for an account."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_service import audit
from billing_service.account_customers import AccountCustomers
from billing_service.audit import Method
from billing_service.errors import (
    CustomerNotFound,
    InvalidRequest,
    StripeMisconfigured,
    SubscriptionAmbiguous,
    Violation,
)
from billing_service.stripe_api import Json, LiveStripe
from billing_service.stripe_errors import StripeRefused
from subscription_state import subscriptions
from subscription_state.database import Database
from subscription_state.model import Subscription


class Flow(Enum):
    """What the portal opens with, in Stripe's words."""

    HOME = ""
    PAYMENT_METHOD_UPDATE = "payment_method_update"
    SUBSCRIPTION_CANCEL = "subscription_cancel"
    SUBSCRIPTION_UPDATE = "subscription_update"

    @property
    def concerns_subscription(self) -> bool:
        return self in (Flow.SUBSCRIPTION_CANCEL, Flow.SUBSCRIPTION_UPDATE)


@dataclass(frozen=True, kw_only=True, slots=True)
class PortalVisit:
    """A visit that somebody asked for; already validated."""

    account_id: str
    #: Empty for the service's default.
    return_url: str
    flow: Flow
    #: Empty for the account's only live one.
    subscription_id: str
    locale: str


class Portal:
    """Creates portal sessions."""

    def __init__(
        self,
        database: Database,
        stripe: LiveStripe,
        *,
        default_return_url: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._stripe = stripe
        self._customers = AccountCustomers(database, stripe)
        self._default_return_url = default_return_url
        self._now = now

    async def open(self, visit: PortalVisit) -> Json:
        """Create a session; its URL is short-lived and works once."""
        customer = await self._customers.find(visit.account_id)
        if customer is None:
            raise CustomerNotFound(visit.account_id)
        params: Json = {"customer": customer.customer_id}
        return_url = visit.return_url or self._default_return_url
        optional = {
            "return_url": return_url,
            "locale": visit.locale,
            "flow_data": await self._flow_data(visit, return_url),
        }
        params |= {name: value for name, value in optional.items() if value}
        session = await self._create(params, visit)
        # Nobody is let into the portal of whom it is not known.
        await self._database.write(
            lambda connection: self._note(connection, visit, session, customer.customer_id)
        )
        return session

    async def _note(
        self, connection: AsyncConnection, visit: PortalVisit, session: Json, customer_id: str
    ) -> None:
        facts = {"portal_session_id": str(session["id"]), "customer_id": customer_id}
        method = Method.CREATE_PORTAL_SESSION
        await audit.note(connection, method, visit.account_id, now=self._now(), **facts)

    async def _create(self, params: Json, visit: PortalVisit) -> Json:
        given = {name for name in ("locale", "return_url") if getattr(visit, name)}
        try:
            return await self._stripe.create_portal_session(params)
        except StripeRefused as refusal:
            if refusal.is_missing and refusal.param == "customer":
                raise CustomerNotFound(visit.account_id) from refusal
            if refusal.param in given:
                raise _violation(refusal.param, "Stripe does not accept it.") from refusal
            # Such as a portal that was never configured at Stripe.
            raise StripeMisconfigured from refusal

    async def _flow_data(self, visit: PortalVisit, return_url: str) -> Json:
        if visit.flow is Flow.HOME:
            return {}
        data: dict[str, Any] = {"type": visit.flow.value}
        if visit.flow.concerns_subscription:
            data[visit.flow.value] = {"subscription": await self._subscription_id(visit)}
        if return_url:
            redirect = {"type": "redirect", "redirect": {"return_url": return_url}}
            data["after_completion"] = redirect
        return data

    async def _subscription_id(self, visit: PortalVisit) -> str:
        live = await self._live(visit.account_id)
        if visit.subscription_id:
            if visit.subscription_id not in {each.subscription_id for each in live}:
                raise _violation("subscription_id", "The account has no such live subscription.")
            return visit.subscription_id
        if not live:
            raise _violation("flow", "The account has no live subscription.")
        if len(live) > 1:
            raise SubscriptionAmbiguous(visit.account_id)
        return live[0].subscription_id

    async def _live(self, account_id: str) -> list[Subscription]:
        async with self._database.read() as connection:
            stored = await subscriptions.of_account(connection, account_id)
        return [each.subscription for each in stored if each.subscription.live]


def _violation(field: str, description: str) -> InvalidRequest:
    return InvalidRequest(Violation(field=field, description=description))
