"""Where Stripe sends customers back to. What is said here Stripe has said, not the browser."""

import re
from dataclasses import dataclass

from aiohttp import web

from paidup import (
    BillingClient,
    EntitlementReason,
    NotFound,
    PaymentStatus,
    SessionStatus,
)
from storefront import sessions, shop, sign_in
from storefront.pages import message, page

_SESSION_ID = re.compile(r"cs_[A-Za-z0-9_]{1,250}")

STATUSES = {
    SessionStatus.SESSION_STATUS_OPEN: "open",
    SessionStatus.SESSION_STATUS_COMPLETE: "complete",
    SessionStatus.SESSION_STATUS_EXPIRED: "expired",
}
PAYMENT_STATUSES = {
    PaymentStatus.PAYMENT_STATUS_PAID: "paid",
    PaymentStatus.PAYMENT_STATUS_UNPAID: "unpaid",
    PaymentStatus.PAYMENT_STATUS_NO_PAYMENT_REQUIRED: "no_payment_required",
}
#: What is new to us is told as the least that it can be.
UNKNOWN_STATUS, UNKNOWN_PAYMENT_STATUS = "complete", "unpaid"


@dataclass(frozen=True, kw_only=True, slots=True)
class Purchase:
    """A Checkout Session, in Stripe's words."""

    status: str
    payment_status: str
    email: str
    #: A bank debit that will not come any more.
    bounced: bool

    @property
    def state(self) -> str:
        """One word for what the page says."""
        if self.status != "complete":
            return self.status
        if self.bounced:
            return "bounced"
        return "waiting" if self.payment_status == "unpaid" else "paid"


async def purchase(billing: BillingClient, account_id: str, session_id: str) -> Purchase:
    answer = await billing.get_session_status(account_id=account_id, session_id=session_id)
    status = STATUSES.get(answer.status, UNKNOWN_STATUS)
    payment_status = PAYMENT_STATUSES.get(answer.payment_status, UNKNOWN_PAYMENT_STATUS)
    waiting = status == "complete" and payment_status == "unpaid"
    return Purchase(
        status=status,
        payment_status=payment_status,
        email=answer.customer_email,
        bounced=waiting
        and await _bounced(billing, account_id, answer.subscription_id, answer.revision),
    )


async def _bounced(
    billing: BillingClient, account_id: str, subscription_id: str, revision: str
) -> bool:
    """Stripe leaves the session unpaid for ever when a debit fails; the check knows why."""
    async for subscription in billing.iter_subscriptions(account_id=account_id):
        if subscription.subscription_id == subscription_id:
            check = await billing.check_entitlement(
                account_id=account_id,
                product_id=subscription.items[0].product_id,
                at_least_revision=revision,
            )
            failed = EntitlementReason.ENTITLEMENT_REASON_PAYMENT_FAILED
            return check.entitlement.reason == failed
    return False


def _session_id(request: web.Request) -> str:
    session_id = request.query.get("session_id", "")
    if not _SESSION_ID.fullmatch(session_id):
        raise web.HTTPNotFound
    return session_id


async def _purchase_in(request: web.Request) -> Purchase:
    our, session = shop.of(request), sessions.of(request)
    try:
        return await purchase(our.billing, session.account_id, _session_id(request))
    except NotFound:
        raise web.HTTPNotFound from None


@sign_in.required
async def session_status(request: web.Request) -> web.Response:
    """Tell where a Checkout Session of the customer's stands, as Stripe's guide has it."""
    found = await _purchase_in(request)
    return web.json_response(
        {
            "status": found.status,
            "payment_status": found.payment_status,
            "customer_email": found.email,
            "state": found.state,
        }
    )


@sign_in.required
async def returned(request: web.Request) -> web.Response:
    found = await _purchase_in(request)
    if found.state == "open":
        return _form_again(request)
    return page(request, "returned.html", purchase=found, session_id=_session_id(request))


def _form_again(request: web.Request) -> web.Response:
    """Show the form for the same price: the service gives the open session again."""
    catalog = shop.of(request).catalog
    lookup_key = request.query.get("price", "")
    plan, price = catalog.plan_of(lookup_key), catalog.price_of(lookup_key)
    if plan is None or price is None:
        text = "Nothing was paid. Choose a plan to try again."
        return message(request, "Not paid yet", text, link=("/", "See the prices"))
    return page(request, "subscribe.html", plan=plan, price=price, again=True)
