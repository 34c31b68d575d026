"""What every call passes through, over a real channel."""

import asyncio
import logging
from contextlib import asynccontextmanager

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from prometheus_client import REGISTRY

from billing_service.errors import AlreadySubscribed, InvalidRequest, Violation
from billing_service.interceptors import CallInterceptor
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1 import billing_service_pb2_grpc
from subscription_state.errors import StateUnavailable

pytestmark = pytest.mark.asyncio(loop_scope="session")

METHOD = "GetSessionStatus"
SERVICE = "paidup.v1.BillingService"
LABELS = {"grpc_type": "unary", "grpc_service": SERVICE, "grpc_method": METHOD}


class Servicer(billing_service_pb2_grpc.BillingServiceServicer):
    def __init__(self, behavior) -> None:
        self._behavior = behavior

    async def GetSessionStatus(self, request, context):  # noqa: N802 - the contract's name
        return await self._behavior(context)


@asynccontextmanager
async def serving(behavior, **most):
    server = grpc.aio.server(interceptors=[CallInterceptor(most)])
    billing_service_pb2_grpc.add_BillingServiceServicer_to_server(Servicer(behavior), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield billing_service_pb2_grpc.BillingServiceStub(channel)
    finally:
        await server.stop(0)


def _raising(error):
    async def behavior(_context):
        raise error

    return behavior


async def _refusal(stub) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.GetSessionStatus(pb.GetSessionStatusRequest(), timeout=5)
    return refused.value


def _handled(code: str) -> float:
    labels = {**LABELS, "grpc_code": code}
    return REGISTRY.get_sample_value("grpc_server_handled_total", labels) or 0.0


async def test_an_answer_passes(monkeypatch):
    async def behavior(_context):
        return pb.GetSessionStatusResponse(revision="r")

    before = _handled("OK")
    async with serving(behavior) as stub:
        answer = await stub.GetSessionStatus(pb.GetSessionStatusRequest(), timeout=5)

    assert answer.revision == "r"
    assert _handled("OK") == before + 1


async def test_an_error_arrives_whole():
    error = AlreadySubscribed(subscription_id="sub_1", product_id="prod_1")
    async with serving(_raising(error)) as stub:
        refusal = await _refusal(stub)

    status = status_pb2.Status.FromString(
        dict(refusal.trailing_metadata())["grpc-status-details-bin"]
    )
    info = error_details_pb2.ErrorInfo.FromString(status.details[0].value)
    assert refusal.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.details() == status.message == str(error)
    assert dict(info.metadata) == {"subscription_id": "sub_1", "product_id": "prod_1"}


async def test_a_request_in_which_everything_is_wrong_arrives_as_invalid():
    violations = [
        Violation(
            field=f"metadata[{number:03}{'é' * 37}]", description="Has more than 500 characters."
        )
        for number in range(150)
    ]
    async with serving(_raising(InvalidRequest(*violations))) as stub:
        refusals = [await _refusal(stub) for _ in range(20)]

    assert {refusal.code() for refusal in refusals} == {grpc.StatusCode.INVALID_ARGUMENT}


async def test_an_error_in_any_script_arrives():
    violation = Violation(field="metadata[東京 🚀\n]", description="Nope.")
    async with serving(_raising(InvalidRequest(violation))) as stub:
        refusal = await _refusal(stub)

    assert refusal.details() == "The request breaks the rules of: metadata[東京 🚀\n]."


async def test_a_fault_says_nothing_of_itself_and_is_logged(caplog):
    async with serving(_raising(ValueError("sk_test_secret"))) as stub:
        refusal = await _refusal(stub)

    assert refusal.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in refusal.details()
    record = next(each for each in caplog.records if each.message == "call_failed")
    assert record.exc_info


async def test_what_passes_by_itself_is_logged_without_a_traceback(caplog):
    with caplog.at_level(logging.INFO, "billing_service.call_log"):
        async with serving(_raising(StateUnavailable("x"))) as stub:
            refusal = await _refusal(stub)

    assert refusal.code() is grpc.StatusCode.UNAVAILABLE
    assert [each.message for each in caplog.records if "call" in each.message] == ["call"]


async def test_a_methods_own_abort_passes_with_its_code():
    async def behavior(context):
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Not yet.")

    before = _handled("UNIMPLEMENTED")
    async with serving(behavior) as stub:
        refusal = await _refusal(stub)
        # The answer is there before the call has ended.
        async with asyncio.timeout(5):
            while _handled("UNIMPLEMENTED") == before:
                await asyncio.sleep(0.01)

    assert refusal.code() is grpc.StatusCode.UNIMPLEMENTED
    assert _handled("UNIMPLEMENTED") == before + 1


async def test_more_calls_than_are_taken_are_refused_and_cancelled_ones_make_room():
    running, ended, go_on = asyncio.Semaphore(0), asyncio.Semaphore(0), asyncio.Event()

    async def behavior(_context):
        running.release()
        try:
            await go_on.wait()
        finally:
            ended.release()
        return pb.GetSessionStatusResponse()

    before = _handled("CANCELLED")
    async with serving(behavior, **{METHOD: 2}) as stub, asyncio.timeout(10):
        calls = [stub.GetSessionStatus(pb.GetSessionStatusRequest()) for _ in range(2)]
        for _ in calls:
            await running.acquire()
        full = await _refusal(stub)
        for call in calls:
            call.cancel()
        for _ in calls:
            await ended.acquire()
        go_on.set()
        answer = await stub.GetSessionStatus(pb.GetSessionStatusRequest())

    assert full.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert answer == pb.GetSessionStatusResponse()
    assert _handled("CANCELLED") == before + 2


async def test_a_deadline_ends_the_work():
    ended = asyncio.Event()

    async def behavior(_context):
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with serving(behavior) as stub, asyncio.timeout(5):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetSessionStatus(pb.GetSessionStatusRequest(), timeout=0.1)
        await ended.wait()

    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
