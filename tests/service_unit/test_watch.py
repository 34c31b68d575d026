"""WatchEntitlements over a real channel: streams begin, go on, and are ended."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
import pytest_asyncio
from grpc_health.v1 import health
from prometheus_client import REGISTRY

from billing_service import interceptors, watch_stream
from billing_service.composition import Parts, compose
from billing_service.server import build_server
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1 import billing_service_pb2_grpc, entitlement_pb2
from subscription_state.revision import Revision
from tests.builders import a_subscription
from tests.service_unit.conftest import settings_for
from tests.state import steps

pytestmark = pytest.mark.asyncio(loop_scope="session")

Stub = billing_service_pb2_grpc.BillingServiceStub
LONGEST = 10


@pytest_asyncio.fixture(loop_scope="session")
async def parts(database_url, script) -> AsyncIterator[Parts]:
    made = compose(settings_for(script.url, database_url))
    running = [asyncio.create_task(each.run()) for each in (made.feed, made.watchers)]
    yield made
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await made.close()


@asynccontextmanager
async def serving(parts: Parts) -> AsyncIterator[Stub]:
    server = build_server(parts, health.aio.HealthServicer())
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Stub(channel)
    finally:
        await server.stop(0)


@pytest_asyncio.fixture(loop_scope="session")
async def stub(parts) -> AsyncIterator[Stub]:
    async with serving(parts) as made:
        yield made


def watch(stub: Stub, *account_ids: str, resume: str = ""):
    request = pb.WatchEntitlementsRequest(account_ids=account_ids, resume_revision=resume)
    return stub.WatchEntitlements(request, timeout=LONGEST)


async def until(call, kind: str | None) -> pb.WatchEntitlementsResponse:
    """Read on until a message of a kind; None is a heartbeat."""
    while (message := await call.read()).WhichOneof("kind") != kind:
        pass
    return message


async def _code(call) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call.read()
    return refused.value.code()


async def test_named_accounts_come_first_then_what_changes(stub, database):
    call = watch(stub, "acct_1", "acct_2")
    begun = [await call.read() for _ in range(3)]
    await steps.verify(database, a_subscription(), account_id="acct_1")
    changed = await until(call, "account")
    call.cancel()

    assert [each.account.account_id for each in begun[:2]] == ["acct_1", "acct_2"]
    assert [each.revision for each in begun[:2]] == ["", ""]
    assert (begun[2].WhichOneof("kind"), bool(begun[2].revision)) == (None, True)
    (entitlement,) = changed.account.entitlements
    assert (changed.account.account_id, entitlement.product_id) == ("acct_1", "prod_team")
    assert entitlement.reason == entitlement_pb2.ENTITLEMENT_REASON_ACTIVE
    assert changed.HasField("send_time")
    at_least = Revision.parse(begun[2].revision).number
    assert Revision.parse(changed.revision).number > at_least


async def test_who_names_none_hears_of_all(stub, database):
    call = watch(stub)
    await until(call, None)
    await steps.verify(database, a_subscription(), account_id="acct_9")

    assert (await until(call, "account")).account.account_id == "acct_9"
    call.cancel()


async def test_a_stream_goes_on_from_where_it_was(stub, database):
    first = watch(stub, "acct_1", "acct_2")
    seen = await until(first, None)
    first.cancel()
    # The first change ever cannot be told from one before which others were dropped.
    await steps.verify(database, a_subscription(), account_id="acct_1")
    between = await stub.CheckEntitlement(
        pb.CheckEntitlementRequest(
            account_id="acct_1", feature="f", consistency={"fully_consistent": True}
        ),
        timeout=LONGEST,
    )
    other = a_subscription(subscription_id="sub_2", customer_id="cus_2")
    await steps.verify(database, other, account_id="acct_2", customer_id="cus_2")

    again = watch(stub, "acct_1", "acct_2", resume=between.revision)
    resumed = await again.read()
    again.cancel()
    long_ago = watch(stub, "acct_1", resume=seen.revision)
    reset = [await long_ago.read() for _ in range(2)]
    long_ago.cancel()

    assert resumed.account.account_id == "acct_2"
    assert [each.WhichOneof("kind") for each in reset] == ["reset", "account"]


async def test_a_revision_of_another_history_begins_anew(stub):
    foreign = str(Revision(epoch="00" * 8, number=1))
    resets, messages = _resets("revision_unknown"), _sent()

    call = watch(stub, "acct_1", resume=foreign)

    assert (await call.read()).WhichOneof("kind") == "reset"
    assert (await call.read()).account.account_id == "acct_1"
    call.cancel()
    assert _resets("revision_unknown") == resets + 1
    # The last may be counted a moment after it has come.
    assert _sent() >= messages + 1


def _resets(cause: str) -> float:
    return REGISTRY.get_sample_value("paidup_watch_resets_total", {"cause": cause}) or 0.0


def _sent() -> float:
    return REGISTRY.get_sample_value("paidup_watch_messages_total") or 0.0


@pytest.mark.parametrize(
    "request_", [{"resume_revision": "x"}, {"account_ids": [""]}, {"account_ids": ["a"] * 10_001}]
)
async def test_what_breaks_the_rules_is_refused(stub, request_):
    call = stub.WatchEntitlements(pb.WatchEntitlementsRequest(**request_), timeout=LONGEST)

    assert await _code(call) is grpc.StatusCode.INVALID_ARGUMENT


async def test_heartbeats_come_while_the_feed_is_followed_and_no_longer(stub, parts, monkeypatch):
    monkeypatch.setattr(watch_stream, "HEARTBEAT", watch_stream.HEARTBEAT / 100)
    call = watch(stub)
    beats = [await until(call, None) for _ in range(3)]
    monkeypatch.setattr(parts.feed, "is_fresh", lambda: False)
    silent = asyncio.create_task(_until_silent(call))

    assert [each.revision for each in beats] == [beats[0].revision] * 3
    await asyncio.wait_for(silent, LONGEST)
    call.cancel()


async def test_heartbeats_come_among_messages_that_bring_no_new_revision(stub, parts, monkeypatch):
    monkeypatch.setattr(watch_stream, "HEARTBEAT", watch_stream.HEARTBEAT / 30)
    call = watch(stub, "acct_1")
    begun = await until(call, None)
    flowing = asyncio.create_task(_flow(parts, "acct_1", pause=0.005))
    try:
        kinds = [(await call.read()).WhichOneof("kind") for _ in range(20)]
        beat = await asyncio.wait_for(until(call, None), LONGEST)
        after = [(await call.read()).WhichOneof("kind") for _ in range(20)]
    finally:
        flowing.cancel()
        call.cancel()

    assert "account" in kinds, "nothing flowed, so silence would have brought the heartbeat"
    assert "account" in after
    assert beat.revision == begun.revision


async def _flow(parts: Parts, account_id: str, *, pause: float) -> None:
    """Hand an account out again and again, as ends by the clock do."""
    while True:
        await parts.watchers._put([account_id])
        await asyncio.sleep(pause)


async def _until_silent(call) -> None:
    pause = watch_stream.HEARTBEAT.total_seconds() * 10
    while True:
        reading = asyncio.create_task(call.read())
        done, _ = await asyncio.wait({reading}, timeout=pause)
        if not done:
            reading.cancel()
            return


async def test_a_drain_says_goodbye_to_all_and_to_who_comes(stub, parts):
    calls = [watch(stub, "acct_1"), watch(stub)]
    for call in calls:
        await until(call, None)

    parts.watchers.drain()

    for call in (*calls, watch(stub, "acct_1")):
        goodbye = await until(call, "goodbye")
        assert 0 <= goodbye.goodbye.retry_delay_millis <= watch_stream.GOODBYES["drain"]
        assert await call.read() is grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.OK


async def test_an_old_stream_is_ended(parts, monkeypatch):
    monkeypatch.setattr(watch_stream, "LIFE", (0.05, 0.1))
    async with serving(parts) as stub:
        call = watch(stub, "acct_1")

        assert (await until(call, "goodbye")).revision
        assert await call.code() is grpc.StatusCode.OK


async def test_who_reads_too_slowly_is_ended_and_can_go_on(stub, parts, database, monkeypatch):
    monkeypatch.setattr(watch_stream, "MOST_WAITING", 2)
    call = watch(stub)
    before = await until(call, None)
    (stream,) = parts.watchers._of_all
    for number in range(4):
        stream.put(f"acct_{number}", b"")

    goodbye = await until(call, "goodbye")

    assert Revision.parse(goodbye.revision) >= Revision.parse(before.revision)
    assert await call.read() is grpc.aio.EOF


async def test_a_reader_that_takes_nothing_is_let_go(parts, database, monkeypatch):
    """Its messages fill all that lies between, and nobody waits for it for ever."""
    monkeypatch.setattr(watch_stream, "SEND_TIMEOUT", 0.2)
    monkeypatch.setattr(watch_stream, "MOST_WAITING", 10**9)
    async with serving(parts) as stub:
        call = watch(stub)
        await until(call, None)
        (stream,) = parts.watchers._of_all
        async with asyncio.timeout(LONGEST):
            while parts.watchers._of_all:
                stream.put("acct_1", b"\x7a\x80\x80\x04" + b"x" * 65536)
                await asyncio.sleep(0)
        call.cancel()


async def test_there_is_room_for_so_many_streams(parts, monkeypatch):
    monkeypatch.setitem(interceptors.MOST_CALLS, "WatchEntitlements", 2)
    async with serving(parts) as stub:
        calls = [watch(stub), watch(stub)]
        for call in calls:
            await until(call, None)
        full = watch(stub)

        assert await _code(full) is grpc.StatusCode.RESOURCE_EXHAUSTED
        for call in calls:
            call.cancel()


async def test_a_stream_that_is_left_leaves_nothing(stub, parts):
    call = watch(stub, "acct_1")
    await until(call, None)
    call.cancel()

    async with asyncio.timeout(LONGEST):
        while parts.watchers._streams or parts.watchers._by_account:
            await asyncio.sleep(0.01)
