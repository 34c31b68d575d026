"""Sells: creates Checkout Sessions, and never lets one account pay twice for one product."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_service import audit
from billing_service.account_customers import AccountCustomers
from billing_service.audit import Method
from billing_service.checkout_params import checkout_params
from billing_service.errors import (
    AlreadySubscribed,
    InvalidRequest,
    RequestIdReused,
    StripeMisconfigured,
    Violation,
)
from billing_service.leased import locked
from billing_service.order import Order, digest
from billing_service.prices import Price, resolve
from billing_service.stripe_api import Json, LiveStripe
from billing_service.stripe_errors import StripeRefused
from billing_service.verifier import Verifier
from subscription_state import checkouts, subscriptions
from subscription_state.checkouts import CheckoutRequest, CheckoutSession, Noted
from subscription_state.database import Database
from subscription_state.from_stripe import id_of, moment

#: Which of our fields a parameter of Stripe's comes from.
_FIELDS = {
    "line_items": "line_items",
    "locale": "locale",
    "return_url": "return_url",
    "success_url": "success_url",
    "cancel_url": "cancel_url",
    "custom_text": "custom_text",
    "metadata": "metadata",
    "subscription_data": "trial_period_days",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """A Checkout Session that can be paid, as Stripe has it."""

    session: Json
    reused: bool


class Checkout:
    """Creates Checkout Sessions."""

    def __init__(
        self,
        database: Database,
        stripe: LiveStripe,
        verifier: Verifier,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._stripe = stripe
        self._verifier = verifier
        self._customers = AccountCustomers(database, stripe, now=now)
        self._now = now

    async def create(self, order: Order) -> Offer:
        """Create a session, or give the open one of the same form.

        One account's checkouts are made one after the other, over all
        replicas: two at once would be two sessions that can both be paid.
        """
        async with locked(self._database, f"checkout:{order.account_id}"):
            return await self._replay(order) or await self._sell(order)

    async def _replay(self, order: Order) -> Offer | None:
        """Give the first answer to a repeated `request_id` again."""
        if not order.request_id:
            return None
        async with self._database.read() as connection:
            request = await checkouts.request(connection, order.request_id)
        if request is None:
            return None
        _raise_reused(request, order)
        if request.session_id is None:
            return None
        session = await self._stripe.checkout_session(request.session_id)
        return Offer(session=session, reused=request.reused)

    async def _sell(self, order: Order) -> Offer:
        prices = await resolve(self._stripe, [line.price for line in order.lines])
        customer_id = await self._customers.ensure(order.account_id, order.customer_email)
        await self._guard(order, prices, customer_id)
        fingerprint = order.form_fingerprint([price.price_id for price in prices])
        offer = await self._open_offer(order, prices, customer_id, fingerprint)
        offer = offer or await self._create(order, prices, customer_id)
        await self._remember(order, offer, fingerprint)
        return offer

    async def _guard(self, order: Order, prices: Sequence[Price], customer_id: str) -> None:
        """Refuse what the account holds already, by what Stripe says now.

        Where Stripe cannot be asked the call fails, and nothing is sold.
        """
        if order.allow_additional:
            return
        await self._verifier.verify(customer_id)
        wanted = {price.product_id for price in prices if price.recurring}
        async with self._database.read() as connection:
            stored = await subscriptions.of_customer(connection, customer_id)
        for subscription in (each.subscription for each in stored if each.subscription.live):
            for product_id in sorted(wanted & subscription.product_ids):
                raise AlreadySubscribed(
                    subscription_id=subscription.subscription_id, product_id=product_id
                )

    async def _open_offer(
        self, order: Order, prices: Sequence[Price], customer_id: str, fingerprint: str
    ) -> Offer | None:
        """Reuse an open session of this form; expire all others, so that none is paid too."""
        async with self._database.read() as connection:
            opened = await checkouts.open_of(connection, order.account_id, now=self._now())
        reusable = None
        for known in opened:
            session = await self._stripe.checkout_session(known.session_id)
            same_form = known.fingerprint == fingerprint and _is_open_for(session, customer_id)
            if same_form and reusable is None:
                reusable = Offer(session=session, reused=True)
            else:
                await self._close(session, order, prices, customer_id)
        return reusable

    async def _close(
        self, session: Json, order: Order, prices: Sequence[Price], customer_id: str
    ) -> None:
        expired = False
        if session["status"] == checkouts.OPEN:
            session, expired = await self._expire(session["id"])
        await self._note(order, session, expired=expired)
        if session["status"] == "complete":
            # Paid just now: what it bought may be what is asked for.
            await self._guard(order, prices, customer_id)

    async def _expire(self, session_id: str) -> tuple[Json, bool]:
        """Give the session as it is now, and whether that is our doing."""
        try:
            return await self._stripe.expire_checkout_session(session_id), True
        except StripeRefused:
            # It ended by itself in between: paid, or expired.
            return await self._stripe.checkout_session(session_id), False

    async def _note(self, order: Order, session: Json, *, expired: bool) -> None:
        noted = Noted(
            session_id=session["id"],
            status=session["status"],
            payment_status=session["payment_status"],
            subscription_id=id_of(session.get("subscription")),
        )

        async def work(connection: AsyncConnection) -> None:
            await checkouts.note_status(connection, noted)
            if expired:
                await self._audit(connection, order, expired_session_id=noted.session_id)

        await self._database.write(work)

    async def _audit(self, connection: AsyncConnection, order: Order, **facts: str) -> None:
        method = Method.CREATE_CHECKOUT_SESSION
        await audit.note(connection, method, order.account_id, now=self._now(), **facts)

    async def _create(self, order: Order, prices: Sequence[Price], customer_id: str) -> Offer:
        await self._begin_request(order)
        try:
            session = await self._create_for(order, prices, customer_id)
        except StripeRefused as refusal:
            await self._database.write(
                lambda connection: checkouts.drop_request(connection, order.request_id)
            )
            raise _answer_to(refusal, order) from refusal
        return Offer(session=session, reused=False)

    async def _create_for(self, order: Order, prices: Sequence[Price], customer_id: str) -> Json:
        try:
            return await self._create_at_stripe(order, prices, customer_id)
        except StripeRefused as refusal:
            if not refusal.is_missing or refusal.param != "customer":
                raise
        # Somebody deleted the customer at Stripe, and we have not heard of it.
        await self._customers.forget(customer_id)
        successor = await self._customers.ensure(order.account_id, order.customer_email)
        return await self._create_at_stripe(order, prices, successor)

    async def _create_at_stripe(
        self, order: Order, prices: Sequence[Price], customer_id: str
    ) -> Json:
        """Create it under a key of the request and of what is asked: put right, it is another."""
        params = checkout_params(order, prices, customer_id)
        key = f"checkout:{order.request_id or uuid.uuid4()}:{digest(params)}"
        return await self._stripe.create_checkout_session(params, idempotency_key=key)

    async def _begin_request(self, order: Order) -> None:
        """Remember the request before Stripe acts on it, so that a retry is recognized."""
        if order.request_id:
            await self._database.write(lambda connection: self._note_request(connection, order))

    async def _note_request(self, connection: AsyncConnection, order: Order) -> None:
        request = await checkouts.begin_request(
            connection,
            order.request_id,
            account_id=order.account_id,
            fingerprint=order.fingerprint,
            now=self._now(),
        )
        _raise_reused(request, order)

    async def _remember(self, order: Order, offer: Offer, fingerprint: str) -> None:
        """Save the session and the answer to the request, both or neither."""
        session = offer.session
        stored = CheckoutSession(
            session_id=session["id"],
            account_id=order.account_id,
            fingerprint=fingerprint,
            status=session["status"],
            payment_status=session["payment_status"],
            subscription_id=id_of(session.get("subscription")),
            expire_time=moment(session["expires_at"]),
        )

        async def work(connection: AsyncConnection) -> None:
            await checkouts.save(connection, stored)
            if not offer.reused:
                facts = {"session_id": stored.session_id, "customer_id": session["customer"]}
                await self._audit(connection, order, **facts)
            if order.request_id:
                await self._note_request(connection, order)
                await checkouts.finish_request(
                    connection,
                    order.request_id,
                    session_id=stored.session_id,
                    reused=offer.reused,
                )

        await self._database.write(work)


def _raise_reused(request: CheckoutRequest, order: Order) -> None:
    if (request.account_id, request.fingerprint) != (order.account_id, order.fingerprint):
        raise RequestIdReused(order.request_id)


def _is_open_for(session: Json, customer_id: str) -> bool:
    """Tell whether the customer can pay it: not if it was made for one since deleted."""
    return session["status"] == checkouts.OPEN and id_of(session["customer"]) == customer_id


def _answer_to(refusal: StripeRefused, order: Order) -> Exception:
    """Tell the caller which field Stripe did not like, in our words."""
    if refusal.code == "idempotency_error":
        return RequestIdReused(order.request_id)
    field = _FIELDS.get((refusal.param or "").split("[")[0])
    if field is None:
        return StripeMisconfigured()
    return InvalidRequest(Violation(field=field, description="Stripe does not accept it."))
