"""One caller gets so much of the service, over a real channel; the others get theirs."""

import asyncio
import logging
from contextlib import asynccontextmanager

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from prometheus_client import REGISTRY

from billing_service import caller_limits, current_call
from billing_service.caller_limits import CallerLimits, Limits
from billing_service.interceptors import CallInterceptor
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1 import billing_service_pb2_grpc

REQUEST = pb.CheckEntitlementRequest(account_id="acme", feature="api_access")


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class NamedCallers(grpc.aio.ServerInterceptor):
    """Takes a caller's word for who it is, in the place of what proves it."""

    async def intercept_service(self, continuation, handler_call_details):
        named = dict(handler_call_details.invocation_metadata).get("caller")
        current_call.set_caller(named or current_call.ANYBODY)
        return await continuation(handler_call_details)


class Servicer(billing_service_pb2_grpc.BillingServiceServicer):
    """Answers at once, or when it is told to."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.begun = asyncio.Semaphore(0)

    async def CheckEntitlement(self, request, context):  # noqa: N802 - named by the contract
        self.begun.release()
        await self.go_on.wait()
        return pb.CheckEntitlementResponse()

    async def WatchEntitlements(self, request, context):  # noqa: N802 - likewise
        self.begun.release()
        await context.write(b"")
        await self.go_on.wait()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def servicer():
    return Servicer()


@pytest.fixture
def serving(servicer, clock):
    @asynccontextmanager
    async def start(**limits):
        limiting = CallInterceptor(limits=CallerLimits(Limits(**limits), monotonic=clock))
        server = grpc.aio.server(interceptors=[NamedCallers(), limiting])
        billing_service_pb2_grpc.add_BillingServiceServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield billing_service_pb2_grpc.BillingServiceStub(channel)
        finally:
            await server.stop(None)

    return start


def _check(stub, caller):
    return stub.CheckEntitlement(REQUEST, timeout=10, metadata=(("caller", caller),))


def _watch(stub, caller):
    request = pb.WatchEntitlementsRequest()
    return stub.WatchEntitlements(request, timeout=10, metadata=(("caller", caller),))


async def _refusal(call) -> tuple[grpc.StatusCode, error_details_pb2.ErrorInfo, float]:
    """Give the code, the reason with its metadata, and after how many seconds to come again."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    details = dict(refused.value.trailing_metadata())["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(details)
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(retry)
    return refused.value.code(), info, retry.retry_delay.ToTimedelta().total_seconds()


def _refusals(limit: str) -> float:
    return REGISTRY.get_sample_value("paidup_caller_refusals_total", {"limit": limit}) or 0.0


async def test_a_caller_over_its_calls_a_second_is_told_when_to_come_again(serving):
    before = _refusals("calls_per_second")
    async with serving(calls_per_second=4) as stub:
        for _ in range(4):
            await _check(stub, "shop")

        code, info, seconds = await _refusal(_check(stub, "shop"))

    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert info.reason == "ERROR_REASON_OVERLOADED"
    assert dict(info.metadata) == {"limit": "calls_per_second"}
    assert seconds == 0.25
    assert _refusals("calls_per_second") == before + 1


async def test_what_a_caller_has_left_comes_back_with_time_and_is_no_more_than_a_seconds_worth(
    serving, clock
):
    async with serving(calls_per_second=4) as stub:
        for _ in range(4):
            await _check(stub, "shop")
        clock.now += 0.25
        await _check(stub, "shop")
        await _refusal(_check(stub, "shop"))

        clock.now += 3600
        for _ in range(4):
            await _check(stub, "shop")
        await _refusal(_check(stub, "shop"))


async def test_one_caller_takes_nothing_from_another(serving):
    async with serving(calls_per_second=1) as stub:
        await _check(stub, "shop")
        await _refusal(_check(stub, "shop"))

        assert await _check(stub, "search") == pb.CheckEntitlementResponse()


async def test_calls_at_a_time_are_limited_and_those_that_end_make_room(serving, servicer):
    servicer.go_on.clear()
    async with serving(concurrent_calls=2) as stub, asyncio.timeout(20):
        calls = [_check(stub, "shop") for _ in range(2)]
        for _ in calls:
            await servicer.begun.acquire()

        code, info, _ = await _refusal(_check(stub, "shop"))
        servicer.go_on.set()
        await asyncio.gather(*calls)

        assert await _check(stub, "shop") == pb.CheckEntitlementResponse()
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert info.metadata["limit"] == "concurrent_calls"


async def test_streams_are_limited_apart_from_calls_and_one_given_up_makes_room(serving, servicer):
    servicer.go_on.clear()
    async with serving(streams=1, concurrent_calls=1) as stub, asyncio.timeout(20):
        stream = _watch(stub, "shop")
        await stream.read()
        code, info, _ = await _refusal(_watch(stub, "shop").read())
        other = _watch(stub, "search")
        await other.read()
        call = _check(stub, "shop")
        await servicer.begun.acquire()

        stream.cancel()
        again = _watch(stub, "shop")
        while not await _is_taken(again):
            again = _watch(stub, "shop")  # The server hears of it a moment later.
        servicer.go_on.set()
        await call
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert info.metadata["limit"] == "streams"


async def _is_taken(stream) -> bool:
    try:
        await stream.read()
    except grpc.aio.AioRpcError:
        return False
    return True


async def test_without_limits_a_method_is_served_as_it_is(servicer):
    limits = CallerLimits()

    assert limits.around(servicer.CheckEntitlement, streams=False) == servicer.CheckEntitlement
    assert limits.around(servicer.WatchEntitlements, streams=True) == servicer.WatchEntitlements


async def test_a_refused_caller_is_named_in_the_log_once_in_a_while(serving, clock, caplog):
    with caplog.at_level(logging.WARNING, caller_limits.__name__):
        async with serving(calls_per_second=1) as stub:
            await _check(stub, "shop")
            for _ in range(5):
                await _refusal(_check(stub, "shop"))
            clock.now += caller_limits.SILENCE
            await _check(stub, "shop")
            await _refusal(_check(stub, "shop"))

    told = [each for each in caplog.records if each.message == "caller_over_limit"]
    assert [each.caller for each in told] == ["shop", "shop"]


async def test_only_so_many_callers_are_kept_count_of_and_the_last_ones_are(serving, monkeypatch):
    monkeypatch.setattr(caller_limits, "MOST_CALLERS", 2)
    async with serving(calls_per_second=1) as stub:
        await _check(stub, "first")
        await _check(stub, "second")
        await _refusal(_check(stub, "first"))
        await _check(stub, "third")

        await _refusal(_check(stub, "third"))
        await _refusal(_check(stub, "first"))
        # The one that called longest ago was forgotten, and begins anew.
        assert await _check(stub, "second") == pb.CheckEntitlementResponse()
