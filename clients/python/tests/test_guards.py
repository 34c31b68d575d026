"""What refuses requests and calls that are not paid for."""

import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from clients.python.tests.cache_twins import HASTE
from clients.python.tests.scripted_service import running
from clients.python.tests.watched_service import WatchedService, entitlement
from paidup import EntitlementCache
from paidup.grpc_guard import EntitlementInterceptor

EXPORT = "/shop.v1.Reports/Export"
STREAMED = "/shop.v1.Reports/Stream"
PING = "/shop.v1.Reports/Ping"


@pytest.fixture
async def cache() -> AsyncIterator[EntitlementCache]:
    async with running(service_class=WatchedService) as service:
        service.lists["acme"] = [entitlement(feature="reports")]
        async with EntitlementCache(service.address, pace=HASTE) as cache:
            yield cache


def account_of(details: grpc.HandlerCallDetails) -> str:
    metadata = dict(details.invocation_metadata or ())
    return str(metadata.get("x-test-account", ""))


async def answer(request: bytes, _context: Any) -> bytes:
    return b"for " + request


async def answers(request: bytes, _context: Any) -> AsyncIterator[bytes]:
    yield b"for " + request


@pytest.fixture
async def guarded(cache: EntitlementCache) -> AsyncIterator[grpc.aio.Channel]:
    guard = EntitlementInterceptor(
        cache, account=account_of, features={EXPORT: "reports", STREAMED: "reports", PING: None}
    )
    server = grpc.aio.server(interceptors=[guard])
    unary = grpc.unary_unary_rpc_method_handler(answer)
    handlers = {
        "Export": unary,
        "Ping": unary,
        "New": unary,
        "Stream": grpc.unary_stream_rpc_method_handler(answers),
    }
    generic = grpc.method_handlers_generic_handler("shop.v1.Reports", handlers)
    server.add_generic_rpc_handlers((generic,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(None)


async def called(channel: grpc.aio.Channel, method: str, account_id: str = "") -> Any:
    metadata = (("x-test-account", account_id),) if account_id else ()
    return await channel.unary_unary(method)(b"you", metadata=metadata, timeout=10)


async def test_a_call_that_is_paid_for_is_answered(guarded: grpc.aio.Channel) -> None:
    assert await called(guarded, EXPORT, "acme") == b"for you"


@pytest.mark.parametrize("account_id", ["globex", ""])
async def test_a_call_that_is_not_paid_for_is_refused(
    guarded: grpc.aio.Channel, account_id: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await called(guarded, EXPORT, account_id)

    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_streams_are_guarded_as_well(guarded: grpc.aio.Channel) -> None:
    stream = guarded.unary_stream(STREAMED)

    paid = [each async for each in stream(b"you", metadata=(("x-test-account", "acme"),))]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        [each async for each in stream(b"you", metadata=(("x-test-account", "globex"),))]

    assert paid == [b"for you"]
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_method_that_needs_nothing_is_answered(guarded: grpc.aio.Channel) -> None:
    assert await called(guarded, PING) == b"for you"


async def test_a_method_that_nobody_thought_of_is_refused(guarded: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await called(guarded, "/shop.v1.Reports/New", "acme")

    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def get(app: Any, path: str, account_id: str) -> tuple[int, Any]:
    """Send a request as a server of ASGI applications does."""
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"x-test-account", account_id.encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(event: dict[str, Any]) -> None:
        sent.append(event)

    await app(scope, receive, send)
    body = b"".join(event.get("body", b"") for event in sent)
    return sent[0]["status"], json.loads(body)


def shop(cache: EntitlementCache) -> Any:
    fastapi = pytest.importorskip("fastapi", reason="FastAPI is not installed")
    from paidup.fastapi_guard import EntitlementGuard  # noqa: PLC0415 - needs FastAPI

    require = EntitlementGuard(cache, account=lambda request: request.headers["x-test-account"])
    app = fastapi.FastAPI()

    @app.get("/reports", dependencies=[require(feature="reports")])
    async def reports() -> str:
        return "all of them"

    needs_basic = require(product_id="prod_basic")

    @app.get("/basic")
    async def basic(decision: Any = needs_basic) -> str:
        return str(decision.account_id)

    return app


async def test_a_request_that_is_paid_for_is_answered(cache: EntitlementCache) -> None:
    assert await get(shop(cache), "/reports", "acme") == (200, "all of them")


@pytest.mark.parametrize(("path", "account"), [("/reports", "globex"), ("/basic", "acme")])
async def test_a_request_that_is_not_paid_for_is_refused(
    cache: EntitlementCache, path: str, account: str
) -> None:
    status, body = await get(shop(cache), path, account)

    assert status == 402
    assert "This needs" in body["detail"]


async def test_a_guard_that_names_nothing_is_a_mistake_at_the_start(
    cache: EntitlementCache,
) -> None:
    pytest.importorskip("fastapi", reason="FastAPI is not installed")
    from paidup.fastapi_guard import EntitlementGuard  # noqa: PLC0415 - needs FastAPI

    with pytest.raises(TypeError):
        EntitlementGuard(cache, account=lambda _: "acme")()
