import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator
from email.utils import formatdate
from typing import Any

from aiohttp import web

from stripe_emulator import due, foreign_pages, ids, pages, stripe_js
from stripe_emulator.api import Api, Handler, refusal
from stripe_emulator.control import ControlSurface
from stripe_emulator.dashboard import Dashboard
from stripe_emulator.emulator import Emulator
from stripe_emulator.errors import ForeignPage, InternalError, MethodNotAllowed, UnrecognizedUrl
from stripe_emulator.payment_page import PaymentPages
from stripe_emulator.portal_pages import PortalPages
from stripe_emulator.request_log import logging_to
from stripe_emulator.state import StateFile

LARGEST_BODY = 1024 * 1024
#: How late something due in real time may be noticed, when nobody asks before.
TICK = 0.25
log = logging.getLogger(__name__)


def application(emulator: Emulator) -> web.Application:
    app = web.Application(
        client_max_size=LARGEST_BODY,
        middlewares=[logging_to(emulator.requests), _noting_changes(emulator), _speak_like_stripe],
    )
    Api(emulator).add_to(app)
    ControlSurface(emulator).add_to(app)
    PaymentPages(emulator).add_to(app)
    PortalPages(emulator).add_to(app)
    Dashboard(emulator).add_to(app)
    stripe_js.add_to(app)
    pages.add_to(app)

    async def date(_request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = formatdate(emulator.world.clock.now(), usegmt=True)

    async def lifetime(_app: web.Application) -> AsyncIterator[None]:
        ticker = asyncio.create_task(_tick(emulator))
        yield
        ticker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticker
        await emulator.deliveries.close()

    app.on_response_prepare.append(date)
    app.cleanup_ctx.append(lifetime)
    return app


async def _tick(emulator: Emulator) -> None:
    while True:
        await asyncio.sleep(TICK)
        try:
            due.run(emulator.world)
        except Exception:
            log.exception("What was due could not be done")


def _noting_changes(emulator: Emulator) -> Any:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        emulator.changes += request.method != "GET"
        return await handler(request)

    return middleware


@web.middleware
async def _speak_like_stripe(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give Stripe's error body also where no endpoint was reached or one broke."""
    try:
        foreign_pages.check(request)
        return await handler(request)
    except ForeignPage as error:
        return refusal(error, ids.new("req"))
    except web.HTTPMethodNotAllowed:
        return refusal(MethodNotAllowed(request.method, request.path), ids.new("req"))
    except web.HTTPNotFound:
        return refusal(UnrecognizedUrl(request.method, request.path), ids.new("req"))
    except web.HTTPException:
        raise
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return refusal(InternalError(), ids.new("req"))


async def serve(emulator: Emulator, host: str, port: int, state: StateFile | None = None) -> None:
    """Serve until SIGTERM or SIGINT; OSError if the port cannot be had, StateRefused if `state`."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    runner = web.AppRunner(application(emulator), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{runner.addresses[0][1]}"
        emulator.listening_at(url)
        keeper = _kept(emulator, state)
        print(f"stripe_emulator listening on {url}", flush=True)  # noqa: T201 -- who starts us waits for it
        await stop.wait()
        if keeper is not None:
            keeper.cancel()
    finally:
        await runner.cleanup()
    if state is not None:
        state.save(emulator)


def _kept(emulator: Emulator, state: StateFile | None) -> asyncio.Task[None] | None:
    if state is None:
        return None
    state.load(emulator)
    return asyncio.create_task(state.keep(emulator))
