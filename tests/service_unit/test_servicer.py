"""The servicer over a real channel, where no customer and no money is needed."""

from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio
from grpc_health.v1 import health

from billing_service.composition import compose
from billing_service.server import build_server
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1 import billing_service_pb2_grpc
from tests.service_unit.conftest import settings_for

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def stub(database_url, script) -> AsyncIterator[billing_service_pb2_grpc.BillingServiceStub]:
    parts = compose(settings_for(script.url, database_url))
    server = build_server(parts, health.aio.HealthServicer())
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield billing_service_pb2_grpc.BillingServiceStub(channel)
    await server.stop(0)
    await parts.close()


def a_check(**consistency) -> pb.CheckEntitlementRequest:
    return pb.CheckEntitlementRequest(account_id="a", feature="f", consistency=consistency)


async def test_a_check_is_answered_without_asking_stripe(stub, script):
    answer = await stub.CheckEntitlement(a_check(fully_consistent=True), timeout=5)

    assert answer.entitlement.account_id == "a"
    assert script.calls == []


async def test_a_revision_that_an_answer_gave_is_taken(stub):
    first = await stub.CheckEntitlement(a_check(fully_consistent=True), timeout=5)

    again = await stub.CheckEntitlement(a_check(at_least_revision=first.revision), timeout=5)

    assert again == first


async def test_an_empty_revision_is_none(stub):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.CheckEntitlement(a_check(at_least_revision=""), timeout=5)

    details = dict(refused.value.trailing_metadata())["grpc-status-details-bin"]
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert b"ERROR_REASON_INVALID_TOKEN" in details


async def test_an_account_without_subscriptions_has_an_empty_last_page(stub):
    answer = await stub.ListSubscriptions(pb.ListSubscriptionsRequest(account_id="a"), timeout=5)

    assert answer == pb.ListSubscriptionsResponse()
