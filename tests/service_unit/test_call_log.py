"""What is written of calls, and under which id, over a real channel."""

import asyncio
import io
import json
import logging
from contextlib import asynccontextmanager

import grpc
import pytest
import pytest_asyncio
from prometheus_client import REGISTRY

from billing_service.current_call import request_id
from billing_service.errors import AlreadySubscribed
from billing_service.interceptors import CallInterceptor
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1 import billing_service_pb2_grpc
from subscription_state import logs

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHECK = pb.CheckEntitlementRequest()
STATUS = pb.GetSessionStatusRequest()


class Servicer(billing_service_pb2_grpc.BillingServiceServicer):
    """Logs in every call, and fails where it is told to."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    async def CheckEntitlement(self, request, context):  # noqa: N802 - the contract's name
        return await self._answer(pb.CheckEntitlementResponse())

    async def GetSessionStatus(self, request, context):  # noqa: N802 - likewise
        return await self._answer(pb.GetSessionStatusResponse())

    async def WatchEntitlements(self, request, context):  # noqa: N802 - likewise
        await context.write(b"")

    async def CreatePortalSession(self, request, context):  # noqa: N802 - likewise
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Not yet.")

    async def _answer(self, answer):
        # In a task of its own, as a shared commit or a read is.
        await asyncio.create_task(_tell("inside"))
        if self.error is not None:
            raise self.error
        return answer


async def _tell(event: str) -> None:
    logging.getLogger("billing_service.tests").info(event)


@pytest.fixture
def servicer() -> Servicer:
    return Servicer()


@asynccontextmanager
async def _serving(servicer: Servicer, **options):
    server = grpc.aio.server(interceptors=[CallInterceptor(**options)])
    billing_service_pb2_grpc.add_BillingServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield billing_service_pb2_grpc.BillingServiceStub(channel)
    finally:
        await server.stop(5)


@pytest_asyncio.fixture(loop_scope="session")
async def stub(servicer):
    async with _serving(servicer, log_checks_one_in=3) as stub:
        yield stub


@pytest.fixture
def written():
    """Every line that was written, as the process writes it."""
    logs.configure("json")
    lines = io.StringIO()
    logging.getLogger().handlers[0].setStream(lines)
    return lambda: [json.loads(line) for line in lines.getvalue().splitlines()]


def _with_id(value: str) -> dict:
    return {"metadata": [("x-request-id", value)], "timeout": 5}


async def _returned(call) -> str:
    return dict(await call.trailing_metadata())["x-request-id"]


async def _refused(call) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value


async def test_a_callers_id_is_in_every_line_and_comes_back(stub, written):
    call = stub.GetSessionStatus(STATUS, **_with_id("shop:7f3/2"))
    await call

    lines = written()
    assert await _returned(call) == "shop:7f3/2"
    assert {line["event"]: line["request_id"] for line in lines} == {
        "inside": "shop:7f3/2",
        "call": "shop:7f3/2",
    }


async def test_it_comes_back_with_a_failure_too(stub, servicer, written):
    servicer.error = AlreadySubscribed(subscription_id="sub_1", product_id="prod_1")
    refusal = await _refused(stub.GetSessionStatus(STATUS, **_with_id("shop-1")))

    trailing = dict(refusal.trailing_metadata())
    assert trailing["x-request-id"] == "shop-1"
    assert "grpc-status-details-bin" in trailing
    assert [line["request_id"] for line in written()] == ["shop-1", "shop-1"]


async def test_it_comes_back_with_what_a_method_refuses_by_itself(stub):
    refusal = await _refused(stub.CreatePortalSession(pb.CreatePortalSessionRequest(), timeout=5))

    assert refusal.code() is grpc.StatusCode.UNIMPLEMENTED
    assert dict(refusal.trailing_metadata())["x-request-id"]


async def test_it_comes_back_at_the_end_of_a_stream(stub):
    call = stub.WatchEntitlements(pb.WatchEntitlementsRequest(), **_with_id("shop-2"))
    async for _ in call:
        pass

    assert await _returned(call) == "shop-2"


async def test_without_one_each_call_gets_its_own(stub, written):
    calls = [stub.GetSessionStatus(STATUS, timeout=5) for _ in range(3)]
    await asyncio.gather(*calls)

    ids = [await _returned(call) for call in calls]
    assert len(set(ids)) == 3
    assert {line["request_id"] for line in written()} == set(ids)
    assert request_id() == "", "it must not outlive its call"


@pytest.mark.parametrize(
    "sent",
    [
        "x" * 129,
        "jenny@example.com",
        "two words",
        "",
        "-option",
        '{"event":"forged"}',
    ],
)
async def test_an_id_that_is_not_taken_is_replaced(stub, written, sent):
    call = stub.GetSessionStatus(STATUS, **_with_id(sent))
    await call

    returned = await _returned(call)
    assert returned
    assert returned != sent
    assert {line["request_id"] for line in written()} == {returned}


async def test_the_longest_id_is_taken(stub):
    call = stub.GetSessionStatus(STATUS, **_with_id("x" * 128))
    await call

    assert await _returned(call) == "x" * 128


async def test_a_line_tells_who_called_what_and_how_it_ended(stub, servicer, written):
    servicer.error = AlreadySubscribed(subscription_id="sub_1", product_id="prod_1")
    await _refused(stub.GetSessionStatus(STATUS, timeout=5))

    line = written()[-1]
    assert line["event"] == "call"
    assert (line["method"], line["code"]) == ("GetSessionStatus", "FAILED_PRECONDITION")
    assert line["caller"] == "unauthenticated"
    assert line["milliseconds"] >= 0


async def test_of_checks_that_succeed_one_in_so_many_is_written(stub, written):
    for _ in range(7):
        await stub.CheckEntitlement(CHECK, timeout=5)

    calls = [line for line in written() if line["event"] == "call"]
    assert [line["code"] for line in calls] == ["OK", "OK"]


async def test_every_check_that_fails_is_written(stub, servicer, written):
    servicer.error = AlreadySubscribed(subscription_id="sub_1", product_id="prod_1")
    for _ in range(4):
        await _refused(stub.CheckEntitlement(CHECK, timeout=5))

    calls = [line for line in written() if line["event"] == "call"]
    assert [line["code"] for line in calls] == ["FAILED_PRECONDITION"] * 4


async def test_every_other_call_is_written(stub, written):
    for _ in range(4):
        await stub.GetSessionStatus(STATUS, timeout=5)

    assert [line["event"] for line in written()].count("call") == 4


async def test_methods_that_do_not_exist_make_no_label(servicer):
    server = grpc.aio.server(interceptors=[CallInterceptor()])
    billing_service_pb2_grpc.add_BillingServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            for path in ("/paidup.v1.BillingService/Invented", "/paidup.v1.Invented/Method"):
                refusal = await _refused(channel.unary_unary(path)(b"", timeout=5))
                assert refusal.code() is grpc.StatusCode.UNIMPLEMENTED
    finally:
        await server.stop(5)

    named = {
        value
        for family in REGISTRY.collect()
        if family.name.startswith("grpc_server")
        for sample in family.samples
        for value in sample.labels.values()
    }
    assert not [value for value in named if "Invented" in value]


async def test_calls_have_the_labels_that_dashboards_ask_for(stub):
    await stub.CheckEntitlement(CHECK, timeout=5)
    async for _ in stub.WatchEntitlements(pb.WatchEntitlementsRequest(), timeout=5):
        pass

    def handled(kind: str, method: str) -> float | None:
        labels = {
            "grpc_type": kind,
            "grpc_service": "paidup.v1.BillingService",
            "grpc_method": method,
            "grpc_code": "OK",
        }
        return REGISTRY.get_sample_value("grpc_server_handled_total", labels)

    assert handled("unary", "CheckEntitlement")
    assert handled("server_stream", "WatchEntitlements")
    assert handled("unary", "WatchEntitlements") is None
