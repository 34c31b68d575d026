"""The running system that is fuzzed, and what must hold of it whatever it was sent."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import grpc

from bench import stacks
from demo.stack import Stack
from fuzz.oracle import Wrong, check_text
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1 import billing_service_pb2_grpc

#: Paid, and never named in any input: what it may use must not change.
UNTOUCHED = "untouched"
#: Paid, and named in many.
KNOWN = "acme"
TIMEOUT = 20.0
SETTINGS = {
    # A limit reached would hide what lies behind it.
    "PAIDUP_STRIPE_CALLS_PER_SECOND": "1000",
    "PAIDUP_ALLOWED_ORIGINS": "https://app.example.com",
    "PAIDUP_PORTAL_RETURN_URL": "https://app.example.com/account",
}


@dataclass
class World:
    """Real processes on one database, connections to them, and what inputs may mention."""

    stack: Stack
    channel: grpc.aio.Channel
    session: aiohttp.ClientSession
    #: What exists, for inputs that are nearly right: by the name of the field that takes it.
    known: dict[str, str] = field(default_factory=dict)
    _lines_seen: int = 0

    async def check(self) -> None:
        """Raise `Wrong` unless all processes live, have said nothing wrong, and decide right."""
        self.stack.raise_dead()
        lines = self.stack.log[self._lines_seen :]
        self._lines_seen += len(lines)
        for line in lines:
            check_text(line, of="a line of the log")
        stub = billing_service_pb2_grpc.BillingServiceStub(self.channel)
        request = pb.CheckEntitlementRequest(account_id=UNTOUCHED, feature=stacks.FEATURE)
        answer = await stub.CheckEntitlement(request, timeout=TIMEOUT)
        if not answer.entitlement.entitled:
            raise Wrong(f"{UNTOUCHED} lost what it pays for")


@asynccontextmanager
async def world(database_url: str) -> AsyncIterator[World]:
    """Start everything, with two accounts that have paid."""
    async with Stack(database_url=database_url, settings=SETTINGS) as stack:
        for account_id in (KNOWN, UNTOUCHED):
            await stacks.buy(stack, account_id)
        async with (
            grpc.aio.insecure_channel(stack.service.address) as channel,
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT)) as session,
        ):
            running = World(stack=stack, channel=channel, session=session)
            running.known = await _known(running)
            yield running


async def _known(running: World) -> dict[str, str]:
    stub = billing_service_pb2_grpc.BillingServiceStub(running.channel)
    checked = await stub.CheckEntitlement(
        pb.CheckEntitlementRequest(account_id=KNOWN, feature=stacks.FEATURE), timeout=TIMEOUT
    )
    order = pb.CreateCheckoutSessionRequest(
        account_id=KNOWN,
        line_items=[pb.LineItem(price="premium_monthly")],
        return_url=stacks.RETURN_URL,
    )
    session = await stub.CreateCheckoutSession(order, timeout=TIMEOUT)
    return {
        "account_id": KNOWN,
        "account_ids": KNOWN,
        "feature": stacks.FEATURE,
        "price": "premium_monthly",
        "return_url": stacks.RETURN_URL,
        "session_id": session.session_id,
        "customer_id": session.customer_id,
        "subscription_id": checked.entitlement.subscription_id,
        "resume_revision": checked.revision,
        "at_least_revision": checked.revision,
        "note": "made up",
    }
