"""The way out, in an order in which nobody who calls has to notice."""

import asyncio
import logging
from collections.abc import Iterable

import grpc

from billing_service.composition import Parts
from billing_service.operations_http import SHUTDOWN_TIMEOUT
from billing_service.readiness import Readiness
from subscription_state.stopping import Stopping

log = logging.getLogger(__name__)

#: How long calls in flight may take to finish, in seconds; and where there is a hurry.
GRACE = 20.0
HURRIED_GRACE = 1.0
#: How long each of the other steps may take, in seconds. What does not end by then is left to
#: the operating system.
TIDYING = 3.0
_STEPS = 6


def longest(drain_seconds: float) -> float:
    """Tell for how many seconds is waited at most; orchestrators have to wait as long."""
    return drain_seconds + GRACE + _STEPS * TIDYING + SHUTDOWN_TIMEOUT


async def leave(
    parts: Parts,
    server: grpc.aio.Server,
    readiness: Readiness,
    stopping: Stopping,
    *,
    working: "asyncio.Task[None]",
    drain_seconds: float,
) -> None:
    """Say so and let the word spread; hand the background over; end streams, then calls.

    `working` is the background: its lease is given up before calls in flight are waited
    for, so that another replica goes on at once.
    """
    await readiness.drain()
    await stopping.pause(drain_seconds)
    await end([working])
    parts.watchers.drain()
    if not await stopping.within(GRACE + TIDYING, server.stop(GRACE), hurried=HURRIED_GRACE):
        log.warning("calls_cut_off")
        await stopping.within(TIDYING, server.stop(None), hurried=TIDYING)
    log.info("stopped")


async def end(tasks: "Iterable[asyncio.Task[None]]") -> None:
    """Cancel tasks and see them end, if they do in time."""
    ending = {task for task in tasks if task.cancel()}
    if ending:
        await asyncio.wait(ending, timeout=TIDYING)


async def close(parts: Parts) -> None:
    """Flush and close what is open."""
    try:
        async with asyncio.timeout(TIDYING):
            await parts.close()
    except TimeoutError:
        log.warning("gave_up_closing")
