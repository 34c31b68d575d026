"""A method takes so many calls at a time, over a real channel."""

import asyncio

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from billing_service.interceptors import CallInterceptor
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1 import billing_service_pb2_grpc

REQUEST = pb.CheckEntitlementRequest(account_id="acme", feature="api_access")


class Slow(billing_service_pb2_grpc.BillingServiceServicer):
    """Answers once it is told to."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.go_on = asyncio.Event()

    async def CheckEntitlement(self, request, context):  # noqa: N802 - named by the contract
        self.entered.set()
        await self.go_on.wait()
        return pb.CheckEntitlementResponse()


@pytest.fixture
def slow():
    return Slow()


@pytest.fixture
async def stub(slow):
    server = grpc.aio.server(interceptors=[CallInterceptor({"CheckEntitlement": 1})])
    billing_service_pb2_grpc.add_BillingServiceServicer_to_server(slow, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield billing_service_pb2_grpc.BillingServiceStub(channel)
    await server.stop(None)


async def test_a_call_too_many_is_told_to_come_again(stub, slow):
    first = stub.CheckEntitlement(REQUEST, timeout=10)
    await slow.entered.wait()

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.CheckEntitlement(REQUEST, timeout=10)
    slow.go_on.set()

    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    details = dict(refused.value.trailing_metadata())["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(details)
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(retry)
    assert info.reason == "ERROR_REASON_OVERLOADED"
    assert retry.retry_delay.ToTimedelta().total_seconds() > 0
    assert await first == pb.CheckEntitlementResponse()


async def test_a_call_that_is_given_up_makes_room(stub, slow):
    first = stub.CheckEntitlement(REQUEST, timeout=10)
    await slow.entered.wait()
    first.cancel()
    slow.go_on.set()

    async with asyncio.timeout(10):
        while await _code(stub) is grpc.StatusCode.RESOURCE_EXHAUSTED:
            # The server hears of it a moment later.
            await asyncio.sleep(0.01)

    assert await _code(stub) is grpc.StatusCode.OK


async def _code(stub) -> grpc.StatusCode:
    call = stub.CheckEntitlement(REQUEST, timeout=10)
    return await call.code()
