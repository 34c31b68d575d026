"""What callers are told on Stripe's bad days, and what is left of them the day after."""

import asyncio

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from paidup.v1 import billing_service_pb2 as pb
from paidup.v1 import billing_service_pb2_grpc
from tests.service.shop import RETURN_URL

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: More than the SDK and the service's background use up, however long a test takes.
MANY = 1_000_000


@pytest.fixture
def stub(channel):
    """Calls without a client that would try again by itself."""
    return billing_service_pb2_grpc.BillingServiceStub(channel)


def a_checkout(account: str) -> pb.CreateCheckoutSessionRequest:
    return pb.CreateCheckoutSessionRequest(
        account_id=account,
        line_items=[pb.LineItem(price="basic_monthly")],
        return_url=RETURN_URL,
    )


async def refusal(call) -> tuple[StatusCode, str, status_pb2.Status]:
    """Give code, reason and details of a call that fails."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    details = dict(refused.value.trailing_metadata())["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(details)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "paidup.dev"
    return refused.value.code(), info.reason, status


def retry_seconds(status: status_pb2.Status) -> float:
    retry = error_details_pb2.RetryInfo()
    assert status.details[-1].Unpack(retry)
    return retry.retry_delay.ToTimedelta().total_seconds()


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_stripe_that_is_down_or_limiting_calls_asks_to_try_again(
    stub, faults, account, status
):
    await faults({"api": {"status": status, "next": MANY}})

    code, reason, details = await refusal(stub.CreateCheckoutSession(a_checkout(account)))

    assert code is StatusCode.UNAVAILABLE
    assert reason == "ERROR_REASON_STRIPE_UNAVAILABLE"
    assert retry_seconds(details) > 0


async def test_a_refused_key_is_the_operators_matter_and_tells_nothing_of_it(stub, faults, account):
    await faults({"api": {"status": 401, "next": MANY}})

    code, reason, details = await refusal(stub.CreateCheckoutSession(a_checkout(account)))
    while reason == "ERROR_REASON_STRIPE_UNAVAILABLE":
        # The outages of the tests before may have left the breaker open for a while.
        await asyncio.sleep(retry_seconds(details))
        code, reason, details = await refusal(stub.CreateCheckoutSession(a_checkout(account)))

    assert code is StatusCode.FAILED_PRECONDITION
    assert reason == "ERROR_REASON_STRIPE_MISCONFIGURED"
    assert "sk_" not in details.message


async def test_a_guard_that_cannot_ask_stripe_sells_nothing(shop, stub, faults, account, at_stripe):
    subscription_id = await shop.subscribe("basic_monthly")
    await faults({"api": {"status": 503, "next": MANY}})

    code, _, _ = await refusal(stub.CreateCheckoutSession(a_checkout(account)))

    assert code is StatusCode.UNAVAILABLE
    await faults({"api": {}})
    sessions = await at_stripe.v1.checkout.sessions.list_async({"status": "open"})
    assert account not in [each.client_reference_id for each in sessions.data]
    assert subscription_id


async def test_checks_go_on_while_stripe_is_down(shop, faults):
    await shop.subscribe()
    await faults({"api": {"status": 503, "next": MANY}})

    assert (await shop.check()).entitled


async def test_what_was_not_verified_while_stripe_was_down_is_verified_afterwards(shop, faults):
    session = await shop.checkout()
    await faults({"webhooks": {"blocked": True}})
    await shop.pay(session.session_id)
    await faults({"api": {"status": 503, "next": MANY}})
    await shop.stack.emulator.drain()
    await faults({})

    assert (await shop.until("ACTIVE")).entitled
