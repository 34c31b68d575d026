"""Tells where a Checkout Session stands, true at once, webhook or not."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from billing_service.errors import SessionNotFound
from billing_service.stripe_api import Json, LiveStripe
from billing_service.stripe_errors import StripeRefused
from billing_service.verifier import Verifier
from subscription_state import checkouts, head
from subscription_state.checkouts import CheckoutSession
from subscription_state.database import Database
from subscription_state.from_stripe import id_of, moment
from subscription_state.revision import Revision

EXPIRED = "expired"
COMPLETE = "complete"


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionState:
    """A Checkout Session and the state that was saved before it was told."""

    status: str
    payment_status: str
    revision: Revision
    #: As Stripe has it; None where it has ended without a payment.
    session: Json | None


class SessionStatuses:
    """Reads Checkout Sessions."""

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
        self._now = now

    async def get(self, account_id: str, session_id: str) -> SessionState:
        """Get a session of the account's; any other account gets `SessionNotFound`.

        What a complete session bought is saved before this returns.
        """
        known = await self._known(account_id, session_id)
        if known is not None and known.status == EXPIRED:
            return await self._state(known.status, known.payment_status, None)
        session = await self._read(account_id, session_id)
        await self._save(account_id, session, known)
        customer_id = id_of(session.get("customer"))
        if session["status"] == COMPLETE and customer_id is not None:
            await self._verifier.verify(customer_id)
        return await self._state(session["status"], session["payment_status"], session)

    async def _known(self, account_id: str, session_id: str) -> CheckoutSession | None:
        async with self._database.read() as connection:
            known = await checkouts.get(connection, session_id)
        if known is not None and known.account_id != account_id:
            raise SessionNotFound(session_id)
        return known

    async def _read(self, account_id: str, session_id: str) -> Json:
        try:
            session = await self._stripe.checkout_session(session_id)
        except StripeRefused as refusal:
            raise SessionNotFound(session_id) from refusal
        # Another tool's sale may name the account too: it is not ours to keep or to expire.
        ours = session.get("mode") == "subscription"
        if not ours or session.get("client_reference_id") != account_id:
            raise SessionNotFound(session_id)
        return session

    async def _save(self, account_id: str, session: Json, known: CheckoutSession | None) -> None:
        read = CheckoutSession(
            session_id=session["id"],
            account_id=account_id,
            # A session that another database made is never offered again.
            fingerprint=known.fingerprint if known else "",
            status=session["status"],
            payment_status=session["payment_status"],
            subscription_id=id_of(session.get("subscription")),
            expire_time=moment(session["expires_at"]),
        )
        if read != known:
            await self._database.write(lambda connection: checkouts.save(connection, read))

    async def _state(self, status: str, payment_status: str, session: Json | None) -> SessionState:
        async with self._database.read() as connection:
            revision = await head.current(connection)
        return SessionState(
            status=status, payment_status=payment_status, session=session, revision=revision
        )
