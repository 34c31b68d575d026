"""The main job, step by step: sold, paid, provisioned, failing, canceled, revoked."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import paidup
from demo.stack import Stack
from paidup import EntitlementReason, LineItem, PortalFlow, SessionStatus

ACCOUNT = "acme"
#: Reserved for documentation; nobody's.
EMAIL = "ada@example.com"
FEATURE = "api_access"
RETURN_URL = "http://localhost:4242/return?session_id={CHECKOUT_SESSION_ID}"

GOOD_CARD = "4242424242424242"
DECLINED_CARD = "4000000000009995"
#: Can be put on file; every charge fails.
FAILING_CARD = "4000000000000341"

#: A month and a little: past the renewal and its draft hour.
A_RENEWAL = 32
LONGEST_WAIT = 20.0

_REASON = "ENTITLEMENT_REASON_"


class StoryFailed(Exception):
    """A step did not come out as it should."""


@dataclass
class Story:
    """Plays the story against a running stack."""

    stack: Stack
    client: paidup.BillingClient
    say: Callable[[str, str], None]

    async def play(self) -> None:
        await self._nothing_yet()
        session_id = await self._checkout()
        await self._declined(session_id)
        await self._paid(session_id)
        await self._never_twice()
        await self._renewal_fails()
        await self._canceled()

    async def _nothing_yet(self) -> None:
        answer = await self._expect("NO_SUBSCRIPTION", entitled=False)
        self.say("before", f"{ACCOUNT} : {FEATURE}: {answer}")

    async def _checkout(self) -> str:
        first = await self._create()
        self.say("checkout", f"{first.session_id[:20]}…, customer {first.customer_id}")
        again = await self._create()
        _require(again.session_id == first.session_id and again.reused, "one open session")
        self.say("asked again", "the same open session: no second one that could be paid")
        return first.session_id

    async def _create(self) -> "paidup.v1.billing_service_pb2.CreateCheckoutSessionResponse":
        return await self.client.create_checkout_session(
            account_id=ACCOUNT,
            line_items=[LineItem(price="basic_monthly")],
            return_url=RETURN_URL,
            customer_email=EMAIL,
        )

    async def _declined(self, session_id: str) -> None:
        outcome = await self.stack.emulator.pay(session_id, number=DECLINED_CARD, email=EMAIL)
        _require(outcome["outcome"] == "declined", "a declined card")
        status = await self.client.get_session_status(account_id=ACCOUNT, session_id=session_id)
        _require(status.status == SessionStatus.SESSION_STATUS_OPEN, "the session to stay open")
        _require(bool(status.client_secret), "a client secret to mount the form again")
        answer = await self._expect("INCOMPLETE", entitled=False)
        self.say("declined", f"{outcome['decline_code']}; the form may be mounted again; {answer}")

    async def _paid(self, session_id: str) -> None:
        outcome = await self.stack.emulator.pay(session_id, number=GOOD_CARD, email=EMAIL)
        began = time.perf_counter()
        _require(outcome["outcome"] == "complete", "a payment")
        answer = await self._expect("ACTIVE", entitled=True)
        milliseconds = (time.perf_counter() - began) * 1000
        self.say("paid", f"{answer}, {milliseconds:.0f} ms after the payment, by webhook")
        status = await self.client.get_session_status(account_id=ACCOUNT, session_id=session_id)
        _require(status.status == SessionStatus.SESSION_STATUS_COMPLETE, "a complete session")
        self.say("return page", f"complete and paid, subscription {status.subscription_id}")

    async def _never_twice(self) -> None:
        try:
            await self._create()
        except paidup.AlreadySubscribed as refusal:
            self.say("bought again", f"refused: {refusal.metadata['product_id']} is held already")
            return
        raise StoryFailed("A second purchase of the same product was not refused.")

    async def _renewal_fails(self) -> None:
        portal = await self.client.create_portal_session(
            account_id=ACCOUNT,
            flow=PortalFlow.PORTAL_FLOW_PAYMENT_METHOD_UPDATE,
            return_url="http://localhost:4242/account",
        )
        await self.stack.emulator.portal(portal.session_id, "payment_method", number=FAILING_CARD)
        self.say("portal", "the customer puts a card on file that will fail")
        clock = await self.stack.emulator.advance(days=A_RENEWAL)
        _require(bool(clock), "a moved clock")
        answer = await self._expect("GRACE_PERIOD", entitled=True)
        self.say("renewal failed", f"{A_RENEWAL} days later: {answer}")

    async def _canceled(self) -> None:
        portal = await self.client.create_portal_session(
            account_id=ACCOUNT, return_url="http://localhost:4242/account"
        )
        await self.stack.emulator.portal(portal.session_id, "cancel", immediately=True)
        answer = await self._expect("CANCELED", entitled=False)
        self.say("canceled", f"in the portal, at once: {answer}")

    async def _expect(self, reason: str, *, entitled: bool) -> str:
        """Wait until the check answers so, and give the answer in words."""
        wanted = EntitlementReason.Value(f"{_REASON}{reason}")
        deadline = time.monotonic() + LONGEST_WAIT
        while time.monotonic() < deadline:
            self.stack.raise_dead()
            response = await self.client.check_entitlement(account_id=ACCOUNT, feature=FEATURE)
            if response.entitlement.reason == wanted:
                _require(response.entitlement.entitled == entitled, f"{reason} to decide")
                return _in_words(response.entitlement)
            await asyncio.sleep(0.005)
        seen = EntitlementReason.Name(response.entitlement.reason).removeprefix(_REASON)
        raise StoryFailed(f"Expected {reason}, but after {LONGEST_WAIT:.0f} s it is {seen}.")


def _in_words(entitlement: paidup.Entitlement) -> str:
    reason = EntitlementReason.Name(entitlement.reason).removeprefix(_REASON)
    decision = "entitled" if entitlement.entitled else "not entitled"
    if not entitlement.HasField("valid_until_time"):
        return f"{decision} ({reason})"
    until = entitlement.valid_until_time.ToDatetime()
    return f"{decision} ({reason}) until {until:%Y-%m-%d %H:%M} UTC"


def _require(ok: bool, what: str) -> None:  # noqa: FBT001 - the claim itself
    if not ok:
        raise StoryFailed(f"Expected {what}.")
