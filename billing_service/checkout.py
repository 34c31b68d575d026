"""Sells: creates Checkout Sessions, and never lets one account pay twice for one product."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from billing_service.account_customers import AccountCustomers, Owner
from billing_service.checkout_params import checkout_params
from billing_service.errors import (
    AlreadySubscribed,
    InvalidRequest,
    RequestIdReused,
    StripeMisconfigured,
    Violation,
)
from billing_service.order import Order
from billing_service.prices import Price, resolve
from billing_service.request_locks import locked
from billing_service.stripe_api import Json, LiveStripe
from billing_service.stripe_errors import StripeRefused
from billing_service.verifier import Verifier
from subscription_state import checkouts, subscriptions
from subscription_state.checkouts import CheckoutSession
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
        self._customers = AccountCustomers(database, stripe)
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
        if (request.account_id, request.fingerprint) != (order.account_id, order.fingerprint):
            raise RequestIdReused(order.request_id)
        if request.session_id is None:
            return None
        session = await self._stripe.checkout_session(request.session_id)
        return Offer(session=session, reused=request.reused)

    async def _sell(self, order: Order) -> Offer:
        prices = await resolve(self._stripe, [line.price for line in order.lines])
        owner = await self._customers.ensure(order.account_id, order.customer_email)
        if not owner.new:
            await self._guard(order, prices, owner)
        fingerprint = order.form_fingerprint([price.price_id for price in prices])
        offer = await self._open_offer(order, prices, owner, fingerprint)
        offer = offer or await self._create(order, prices, owner)
        await self._remember(order, offer, fingerprint)
        return offer

    async def _guard(self, order: Order, prices: Sequence[Price], owner: Owner) -> None:
        """Refuse what the account holds already, by what Stripe says now.

        Where Stripe cannot be asked the call fails, and nothing is sold.
        """
        if order.allow_additional:
            return
        await self._verifier.verify(owner.customer_id)
        wanted = {price.product_id for price in prices if price.recurring}
        async with self._database.read() as connection:
            stored = await subscriptions.of_customer(connection, owner.customer_id)
        for subscription in (each.subscription for each in stored if each.subscription.live):
            for product_id in sorted(wanted & subscription.product_ids):
                raise AlreadySubscribed(
                    subscription_id=subscription.subscription_id, product_id=product_id
                )

    async def _open_offer(
        self, order: Order, prices: Sequence[Price], owner: Owner, fingerprint: str
    ) -> Offer | None:
        """Reuse the open session of this form; expire those of others, so that none is paid too."""
        async with self._database.read() as connection:
            opened = await checkouts.open_of(connection, order.account_id, now=self._now())
        reusable = None
        for known in opened:
            session = await self._stripe.checkout_session(known.session_id)
            if known.fingerprint == fingerprint and session["status"] == checkouts.OPEN:
                reusable = Offer(session=session, reused=True)
            else:
                await self._close(session, order, prices, owner)
        return reusable

    async def _close(
        self, session: Json, order: Order, prices: Sequence[Price], owner: Owner
    ) -> None:
        if session["status"] == checkouts.OPEN:
            session = await self._expire(session["id"])
        await self._note(session)
        if session["status"] == "complete":
            # Paid just now: what it bought may be what is asked for.
            await self._guard(order, prices, owner)

    async def _expire(self, session_id: str) -> Json:
        try:
            return await self._stripe.expire_checkout_session(session_id)
        except StripeRefused:
            # It ended by itself in between: paid, or expired.
            return await self._stripe.checkout_session(session_id)

    async def _note(self, session: Json) -> None:
        await self._database.write(
            lambda connection: checkouts.note_status(
                connection,
                session_id=session["id"],
                status=session["status"],
                payment_status=session["payment_status"],
                subscription_id=id_of(session.get("subscription")),
            )
        )

    async def _create(self, order: Order, prices: Sequence[Price], owner: Owner) -> Offer:
        await self._begin_request(order)
        try:
            session = await self._create_for(order, prices, owner)
        except StripeRefused as refusal:
            await self._database.write(
                lambda connection: checkouts.drop_request(connection, order.request_id)
            )
            raise _answer_to(refusal, order) from refusal
        return Offer(session=session, reused=False)

    async def _create_for(self, order: Order, prices: Sequence[Price], owner: Owner) -> Json:
        try:
            return await self._create_at_stripe(order, prices, owner)
        except StripeRefused as refusal:
            if owner.new or not refusal.is_missing or refusal.param != "customer":
                raise
        # Somebody deleted the customer at Stripe, and we have not heard of it.
        await self._customers.forget(owner.customer_id)
        successor = await self._customers.ensure(order.account_id, order.customer_email)
        return await self._create_at_stripe(order, prices, successor)

    async def _create_at_stripe(self, order: Order, prices: Sequence[Price], owner: Owner) -> Json:
        return await self._stripe.create_checkout_session(
            checkout_params(order, prices, owner.customer_id),
            idempotency_key=f"checkout:{order.request_id or uuid.uuid4()}:{owner.customer_id}",
        )

    async def _begin_request(self, order: Order) -> None:
        """Remember the request before Stripe acts on it, so that a retry is recognized."""
        if not order.request_id:
            return
        request = await self._database.write(
            lambda connection: checkouts.begin_request(
                connection,
                order.request_id,
                account_id=order.account_id,
                fingerprint=order.fingerprint,
                now=self._now(),
            )
        )
        if (request.account_id, request.fingerprint) != (order.account_id, order.fingerprint):
            raise RequestIdReused(order.request_id)

    async def _remember(self, order: Order, offer: Offer, fingerprint: str) -> None:
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
        await self._database.write(lambda connection: checkouts.save(connection, stored))
        if not order.request_id:
            return
        await self._begin_request(order)
        await self._database.write(
            lambda connection: checkouts.finish_request(
                connection, order.request_id, session_id=session["id"], reused=offer.reused
            )
        )


def _answer_to(refusal: StripeRefused, order: Order) -> Exception:
    """Tell the caller which field Stripe did not like, in our words."""
    if refusal.code == "idempotency_error":
        return RequestIdReused(order.request_id)
    field = _FIELDS.get((refusal.param or "").split("[")[0])
    if field is None:
        return StripeMisconfigured()
    return InvalidRequest(Violation(field=field, description="Stripe does not accept it."))
