"""Traces of real processes, at a collector that takes OTLP over HTTP."""

import asyncio
import json
import os
import secrets
import signal
import sys
from contextlib import asynccontextmanager

import aiohttp
import grpc
import pytest

import paidup
from demo.processes import ProcessFailed
from demo.stack import Stack
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1 import billing_service_pb2_grpc
from tests.collector import Collector, Span, collecting
from tests.leaks import LEAKS, assert_nothing_leaked
from tests.service.shop import EMAIL, RETURN_URL, Shop

SERVICE, GATEWAY = "paidup-billing-service", "paidup-webhook-gateway"
CHECKOUT = "paidup.v1.BillingService/CreateCheckoutSession"
CHECK = "paidup.v1.BillingService/CheckEntitlement"
TAKEN = {"applied", "skipped"}
WEBHOOK = "POST /webhooks/stripe"
READ = "stripe list_subscriptions"
REQUEST = pb.CheckEntitlementRequest(account_id="acme", feature="api_access")

#: Each starts all processes, which takes long on a busy machine.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'paidup.db'}"
    server = request.getfixturevalue("postgres")
    return server.url(asyncio.run(server.create()))


@pytest.fixture
def sqlite(tmp_path):
    return f"sqlite+aiosqlite:///{tmp_path / 'paidup.db'}"


@pytest.fixture
async def collector():
    async with collecting() as running:
        yield running


@asynccontextmanager
async def traced(url: str, database_url: str, **more: str):
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "50", **more}
    async with (
        Stack(database_url=database_url, settings=settings) as stack,
        paidup.BillingClient(stack.service.address) as client,
    ):
        await client.wait_for_ready()
        yield stack, Shop(stack=stack, client=client, account="acme", email=EMAIL)
    assert_nothing_leaked(stack)


@asynccontextmanager
async def _stub(stack: Stack):
    async with grpc.aio.insecure_channel(stack.service.address) as channel:
        yield billing_service_pb2_grpc.BillingServiceStub(channel)


def _a_caller(flags: str = "01") -> tuple[str, str]:
    """Make up a caller's trace; give its id and the header."""
    trace_id = secrets.token_hex(16)
    return trace_id, f"00-{trace_id}-{secrets.token_hex(8)}-{flags}"


async def _check(stub, traceparent: str) -> None:
    await stub.CheckEntitlement(REQUEST, metadata=[("traceparent", traceparent)], timeout=10)


async def _sell(stack: Stack, traceparent: str) -> str:
    request = pb.CreateCheckoutSessionRequest(
        account_id="acme",
        line_items=[pb.LineItem(price="basic_monthly")],
        return_url=RETURN_URL,
    )
    metadata = [("traceparent", traceparent), ("x-request-id", "shop-1")]
    async with _stub(stack) as stub:
        answer = await stub.CreateCheckoutSession(request, metadata=metadata, timeout=20)
    return answer.session_id


def _verifies_that_follow(collector: Collector, apply: Span) -> list[Span]:
    """List verifies that are part of an event's trace, or linked to it."""
    return [
        each
        for each in collector.named("verify")
        if each.parent_id == apply.span_id or (apply.trace_id, apply.span_id) in each.links
    ]


def _followed(collector: Collector) -> bool:
    """Tell whether every event that touched the customer has been followed to a verify."""
    received = [each for each in collector.named(WEBHOOK) if "paidup.customer_id" in each.facts]
    taken = [each for each in received if each.facts["paidup.outcome"] in TAKEN]
    parents = {each.span_id for each in taken}
    applied = [each for each in collector.named("apply") if each.parent_id in parents]
    return len(applied) >= 3 and all(_verifies_that_follow(collector, each) for each in applied)


async def test_a_webhook_is_followed_from_receipt_to_stripe_call(database_url, collector):
    async with traced(collector.url, database_url) as (stack, shop):
        session = await shop.checkout()
        await shop.pay(session.session_id)
        await stack.emulator.drain()
        await collector.until(_followed)

    traces = [collector.of_trace(each.trace_id) for each in collector.named(WEBHOOK)]
    whole = next(spans for spans in traces if any(each.name == "verify" for each in spans))
    by_name = {each.name: each for each in whole}
    received, applied = by_name[WEBHOOK], by_name["apply"]
    verified, read = by_name["verify"], by_name[READ]
    assert received.parent_id == ""
    assert applied.parent_id == received.span_id
    assert verified.parent_id == applied.span_id
    assert read.parent_id == verified.span_id
    assert [each.service for each in (received, applied, verified, read)] == [
        GATEWAY,
        GATEWAY,
        SERVICE,
        SERVICE,
    ]
    assert received.facts["paidup.event_id"].startswith("evt_")
    assert received.facts["paidup.outcome"] in TAKEN
    assert verified.facts["paidup.customer_id"] == received.facts["paidup.customer_id"]
    assert read.facts["http.response.status_code"] == 200
    assert read.facts["paidup.stripe_request_id"].startswith("req_")


async def test_a_checkout_is_followed_from_the_callers_trace_to_stripe(sqlite, collector):
    trace_id, traceparent = _a_caller()
    async with traced(collector.url, sqlite) as (stack, _):
        await _sell(stack, traceparent)
        await collector.until(lambda seen: seen.named(CHECKOUT))

    (call,) = collector.named(CHECKOUT)
    children = {each.name: each for each in collector.spans if each.parent_id == call.span_id}
    assert (call.trace_id, call.parent_id) == (trace_id, traceparent.split("-")[2])
    assert call.facts == {
        "rpc.system.name": "grpc",
        "rpc.method": CHECKOUT,
        "rpc.response.status_code": "OK",
        "paidup.request_id": "shop-1",
        "paidup.caller": "unauthenticated",
    }
    assert {"stripe create_customer", "stripe create_checkout_session", "verify"} <= set(children)
    assert {each.trace_id for each in children.values()} == {trace_id}
    assert not call.failed


async def test_log_lines_name_the_trace(sqlite, collector):
    trace_id, traceparent = _a_caller()
    async with traced(collector.url, sqlite) as (stack, _):
        await _sell(stack, traceparent)

    lines = [json.loads(line) for line in stack.log if '"shop-1"' in line]
    assert {line["event"] for line in lines} >= {"call"}
    assert {(line["request_id"], line["trace_id"]) for line in lines} == {("shop-1", trace_id)}


async def test_what_is_sent_names_ids_and_nothing_that_is_secret_or_a_persons(sqlite, collector):
    async with traced(collector.url, sqlite) as (stack, shop):
        await shop.subscribe()
        await stack.emulator.faults({"api": {"failing": 1.0}})
        with pytest.raises(paidup.PaidupError):
            await shop.checkout("premium_monthly")
        await stack.emulator.faults({"api": {}})
        await stack.emulator.drain()
        await collector.until(lambda seen: [each for each in seen.named(CHECKOUT) if each.failed])

    sent = b"\n".join(collector.bodies).decode("latin-1")
    assert LEAKS.search(sent) is None
    for secret in (EMAIL, "localhost:4242", stack.secret, "Traceback", "SELECT", "acme"):
        assert secret not in sent
    names = {name for each in collector.spans for name in each.facts}
    assert names <= {
        "error.type",
        "http.response.status_code",
        "paidup.caller",
        "paidup.customer_id",
        "paidup.drift",
        "paidup.event_id",
        "paidup.event_type",
        "paidup.outcome",
        "paidup.request_id",
        "paidup.stripe_request_id",
        "paidup.stripe_tries",
        "rpc.method",
        "rpc.response.status_code",
        "rpc.system.name",
    }


NO_TRACES = ["", "00-zz-zz-01", f"00-{'0' * 32}-{'0' * 16}-01", "x" * 5000]


async def test_a_callers_trace_that_is_none_begins_a_new_one(sqlite, collector):
    async with traced(collector.url, sqlite) as (stack, _), _stub(stack) as stub:
        for sent in NO_TRACES:
            await _check(stub, sent)
        await collector.until(lambda seen: len(seen.named(CHECK)) == len(NO_TRACES))

    calls = collector.named(CHECK)
    assert {call.parent_id for call in calls} == {""}
    assert len({call.trace_id for call in calls}) == len(NO_TRACES)
    assert {call.facts["rpc.response.status_code"] for call in calls} == {"OK"}


async def test_a_stranger_at_the_gateway_makes_no_span_and_names_no_trace(sqlite, collector):
    trace_id, traceparent = _a_caller()
    async with traced(collector.url, sqlite) as (stack, shop):
        url = f"http://{stack.addresses.gateway}/webhooks/stripe"
        headers = {"traceparent": traceparent, "Stripe-Signature": f"t=1,v1={'0' * 64}"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=b"{}", headers=headers) as answer,
        ):
            assert answer.status == 400
        await shop.checkout()
        await stack.emulator.drain()
        await collector.until(lambda seen: seen.named(WEBHOOK))

    assert collector.of_trace(trace_id) == []
    assert all("paidup.event_id" in each.facts for each in collector.named(WEBHOOK))


async def test_only_what_is_sampled_is_sent(sqlite, collector):
    sampled, seen = _a_caller("01")
    unsampled, unseen = _a_caller("00")
    never = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}
    async with traced(collector.url, sqlite, **never) as (stack, shop), _stub(stack) as stub:
        await _check(stub, unseen)
        await shop.subscribe()
        await stack.emulator.drain()
        await _check(stub, seen)
        await collector.until(lambda one: one.of_trace(sampled))

    assert collector.of_trace(unsampled) == []
    assert {each.trace_id for each in collector.spans} == {sampled}


async def test_the_last_spans_are_sent_before_the_processes_end(sqlite, collector):
    later = {"OTEL_BSP_SCHEDULE_DELAY": "600000"}
    async with traced(collector.url, sqlite, **later) as (stack, shop):
        await shop.checkout()
        await stack.emulator.drain()
        assert collector.spans == []
        for process in (stack.service, stack.gateway):
            process.process.send_signal(signal.SIGTERM)
            assert await process.ended() == 0

    assert collector.named(CHECKOUT)
    assert collector.named(WEBHOOK)


@asynccontextmanager
async def _black_hole():
    """Somebody who takes connections and says nothing."""
    held = []
    server = await asyncio.start_server(
        lambda _, writer: held.append(writer), "127.0.0.1", 0, backlog=1
    )
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in held:
            writer.close()


@asynccontextmanager
async def _nobody():
    yield "http://127.0.0.1:1"


@pytest.mark.parametrize("away", [_nobody, _black_hole])
async def test_a_collector_that_is_away_disturbs_nobody(sqlite, away):
    small = {"OTEL_BSP_MAX_QUEUE_SIZE": "8", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4"}
    async with away() as url, traced(url, sqlite, **small) as (stack, shop):
        subscription_id = await shop.subscribe()
        for _ in range(30):
            assert (await shop.check()).entitled
        for process in (stack.service, stack.gateway):
            process.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(15):
                assert await process.ended() == 0

    complaints = [line for line in stack.log if "opentelemetry" in line]
    assert subscription_id
    assert len(complaints) <= 6, complaints


async def test_a_protocol_that_is_not_spoken_is_refused_by_name(sqlite):
    async with Stack(database_url=sqlite) as stack:
        stack.settings = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "PAIDUP_GATEWAY_LISTEN": "127.0.0.1:0",
        }
        for start in (stack.start_service, stack.start_gateway):
            with pytest.raises(ProcessFailed, match="OTEL_EXPORTER_OTLP_PROTOCOL") as failed:
                await start()
            assert "ended with 2" in str(failed.value)
            assert "Traceback" not in str(failed.value)


async def test_nothing_of_it_is_there_unless_it_is_asked_for():
    code = (
        "import sys, billing_service.server, webhook_gateway.server\n"
        "from subscription_state import tracing\n"
        "tracing.begin('service')\n"
        "print(tracing.is_on(), [each for each in sys.modules if 'opentelemetry' in each])"
    )
    for env in ({}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}):
        assert await _printed(code, env) == "False []"


async def _printed(code: str, env: dict[str, str]) -> str:

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env={**os.environ, **env}, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return output.decode().strip()
