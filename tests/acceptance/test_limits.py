"""What a running service refuses because it is too much, as its settings and options say."""

import grpc
import pytest

from billing_service.server import MAX_MESSAGE
from demo.stack import Stack
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1 import billing_service_pb2_grpc
from tests.leaks import assert_nothing_leaked

REQUEST = pb.CheckEntitlementRequest(account_id="acme", feature="api_access")
LIMITED = {"PAIDUP_CALLER_CALLS_PER_SECOND": "1", "PAIDUP_CALLER_STREAMS": "1"}


@pytest.fixture
async def serving(tmp_path):
    """Give what starts a service with settings, and a stub of it."""
    stacks = []

    async def start(**settings):
        url = f"sqlite+aiosqlite:///{tmp_path / 'paidup.db'}"
        stack = await Stack(database_url=url, settings=settings).__aenter__()
        # Larger than the service takes: what refuses must be the service.
        size = ("grpc.max_send_message_length", 4 * MAX_MESSAGE)
        channel = grpc.aio.insecure_channel(stack.service.address, options=[size])
        stacks.append((stack, channel))
        return billing_service_pb2_grpc.BillingServiceStub(channel)

    yield start
    for stack, channel in stacks:
        await channel.close()
        await stack.__aexit__(None, None, None)
        assert_nothing_leaked(stack)


async def _code(call) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value.code()


async def test_settings_limit_each_caller(serving):
    stub = await serving(**LIMITED)
    stream = stub.WatchEntitlements(pb.WatchEntitlementsRequest(), timeout=30, wait_for_ready=True)
    await stream.read()

    codes = set()
    while grpc.StatusCode.RESOURCE_EXHAUSTED not in codes:
        codes.add(await stub.CheckEntitlement(REQUEST, timeout=10).code())
    again = stub.WatchEntitlements(pb.WatchEntitlementsRequest(), timeout=10)

    assert await _code(again.read()) is grpc.StatusCode.RESOURCE_EXHAUSTED
    stream.cancel()


async def test_requests_and_metadata_that_are_too_large_are_refused_and_others_answered(serving):
    stub = await serving()
    await stub.CheckEntitlement(REQUEST, timeout=30, wait_for_ready=True)
    large = pb.CheckEntitlementRequest(account_id="a" * (MAX_MESSAGE + 1), feature="f")
    much = (("much", "a" * 64 * 1024),)

    for refused in (
        stub.CheckEntitlement(large, timeout=10),
        stub.CheckEntitlement(REQUEST, timeout=10, metadata=much),
    ):
        assert await _code(refused) is grpc.StatusCode.RESOURCE_EXHAUSTED

    answer = await stub.CheckEntitlement(REQUEST, timeout=10)
    assert not answer.entitlement.entitled
