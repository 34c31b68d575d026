"""What operators and probes ask over HTTP: `/metrics`, `/healthz`, `/readyz`."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from billing_service.listening import PortTaken, announce
from billing_service.readiness import Readiness

#: How long an answer that is on its way may take at the end, in seconds.
SHUTDOWN_TIMEOUT = 1.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def operations_app(readiness: Readiness) -> web.Application:
    async def metrics(_request: web.Request) -> web.Response:
        return exposition(generate_latest())

    async def healthz(_request: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def readyz(_request: web.Request) -> web.Response:
        return ready_or_not(readiness.problem)

    return routed(metrics=metrics, healthz=healthz, readyz=readyz)


def exposition(body: bytes) -> web.Response:
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


def ready_or_not(problem: str | None) -> web.Response:
    body = {"ready": problem is None, "problem": problem}
    return web.json_response(body, status=200 if problem is None else 503)


def routed(**handlers: Handler) -> web.Application:
    app = web.Application()
    app.add_routes([web.get(f"/{name}", handler) for name, handler in handlers.items()])
    return app


@asynccontextmanager
async def served(app: web.Application, listen: str) -> AsyncIterator[None]:
    """Serve at `HOST:PORT` until the block ends; raise `PortTaken`."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT)
    await runner.setup()
    host, _, port = listen.rpartition(":")
    try:
        await web.TCPSite(runner, host.strip("[]"), int(port)).start()
    except OSError as error:
        await runner.cleanup()
        raise PortTaken(listen, "PAIDUP_METRICS_LISTEN") from error
    announce("metrics on", f"http://{host}", runner.addresses[0][1])
    try:
        yield
    finally:
        await runner.cleanup()


@asynccontextmanager
async def served_at(app: web.Application, path: Path) -> AsyncIterator[None]:
    """Serve at a Unix socket until the block ends."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT)
    await runner.setup()
    try:
        await web.UnixSite(runner, path).start()
        yield
    finally:
        await runner.cleanup()
