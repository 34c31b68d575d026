"""Odd input to every door of real processes, and an oracle that can tell what is wrong."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import aiohttp
import grpc
import pytest
from aiohttp import web
from google.protobuf.any_pb2 import Any
from google.rpc import error_details_pb2, status_pb2

from fuzz import calls, webhooks
from fuzz.oracle import Wrong
from fuzz.run import PORTION, TARGETS, fuzz
from fuzz.world import world
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1.entitlement_pb2 import Entitlement


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('fuzz') / 'paidup.db'}"
    with asyncio.Runner() as runner:
        entered = world(url)
        running = runner.run(entered.__aenter__())
        yield runner.get_loop(), running
        runner.run(entered.__aexit__(None, None, None))


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_answered_wrongly(fuzzed, name):
    loop, running = fuzzed

    tally = fuzz(loop, running, TARGETS[name], seconds=0, first_seed=7)

    assert tally.inputs >= PORTION


CHECK = next(each for each in calls.METHODS if each.name == "CheckEntitlement")
CALL = calls.Call(method=CHECK, request=b"")


def _status(code: int, *details) -> bytes:
    status = status_pb2.Status(code=code, message="No.")
    for each in details:
        packed = Any()
        packed.Pack(each)
        status.details.append(packed)
    return status.SerializeToString()


REASON = error_details_pb2.ErrorInfo(reason="ERROR_REASON_INVALID_REQUEST", domain="paidup.dev")
FIELD = error_details_pb2.BadRequest(
    field_violations=[error_details_pb2.BadRequest.FieldViolation(field="feature")]
)


@asynccontextmanager
async def _answering(abort):
    """Run a real server whose every method answers like that."""

    async def behavior(_request, context):
        if isinstance(abort, bytes):
            return abort
        code, text, details = abort
        metadata = (("grpc-status-details-bin", details),) if details else ()
        return await context.abort(code, text, trailing_metadata=metadata)

    server = grpc.aio.server()
    handlers = {CHECK.name: grpc.unary_unary_rpc_method_handler(behavior)}
    service = CHECK.containing_service.full_name
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield SimpleNamespace(channel=channel)
    await server.stop(None)


INVALID = grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("abort", "told"),
    [
        ((grpc.StatusCode.INTERNAL, "No.", b""), "answered INTERNAL"),
        ((grpc.StatusCode.UNKNOWN, "No.", b""), "answered UNKNOWN"),
        ((grpc.StatusCode.NOT_FOUND, "No.", b""), "gives no reason"),
        ((INVALID, "No.", _status(3, REASON)), "names no field"),
        ((INVALID, "SELECT * FROM account", _status(3, REASON, FIELD)), "tells what it must not"),
        ((INVALID, "to ada@example.com", _status(3, REASON, FIELD)), "tells what it must not"),
        (b"\xff", "is no CheckEntitlementResponse"),
        (pb.CheckEntitlementResponse(revision="sk_test_1").SerializeToString(), "tells what"),
    ],
)
async def test_the_oracle_sees_a_wrong_answer_to_a_call(abort, told):
    async with _answering(abort) as world_:
        with pytest.raises(Wrong, match=told):
            await calls.send(world_, CALL)


async def test_the_oracle_takes_a_proper_refusal():
    async with _answering((INVALID, "No.", _status(3, REASON, FIELD))) as world_:
        assert await calls.send(world_, CALL) == "INVALID_ARGUMENT"


async def test_what_was_asked_about_may_be_repeated_and_no_more():
    asked = pb.CheckEntitlementRequest(account_id="acme", feature="0@example.com")
    call = calls.Call(method=CHECK, request=asked.SerializeToString())
    entitlement = Entitlement(account_id="acme", feature="0@example.com")
    answer = pb.CheckEntitlementResponse(entitlement=entitlement)

    async with _answering(answer.SerializeToString()) as world_:
        assert await calls.send(world_, call) == "OK"
    answer.revision = "ada@example.com"
    async with _answering(answer.SerializeToString()) as world_:
        with pytest.raises(Wrong, match="tells what it must not"):
            await calls.send(world_, call)


@pytest.mark.parametrize(
    ("status", "text", "told"),
    [(500, "", "answered 500"), (200, "whsec_abc", "tells"), (302, "", "answered 302")],
)
async def test_the_oracle_sees_a_wrong_answer_to_a_webhook(status, text, told):
    async def answer(_request):
        return web.Response(status=status, text=text)

    app = web.Application()
    app.router.add_post(webhooks.PATH, answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"127.0.0.1:{runner.addresses[0][1]}"
    stack = SimpleNamespace(gateway=SimpleNamespace(address=address), secret="whsec_test")
    async with aiohttp.ClientSession() as session:
        with pytest.raises(Wrong, match=told):
            await webhooks.send(
                SimpleNamespace(stack=stack, session=session), webhooks.Post(body=b"{}")
            )
    await runner.cleanup()


def test_the_oracle_sees_that_somebody_lost_what_he_paid_for(fuzzed):
    loop, running = fuzzed

    async def look_elsewhere():
        async with _answering(pb.CheckEntitlementResponse().SerializeToString()) as other:
            stack, channel = running.stack, other.channel
            await type(running)(stack=stack, channel=channel, session=running.session).check()

    with pytest.raises(Wrong, match="lost what it pays for"):
        loop.run_until_complete(look_elsewhere())
