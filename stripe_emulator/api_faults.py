"""What goes wrong between an API call and its answer, drawn from one seeded generator."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from aiohttp import web

from stripe_emulator.errors import FaultAskedFor
from stripe_emulator.faults import RouteFaults

Call = Callable[[], Awaitable[web.Response]]

#: How often to see whether a client that is never answered has given up, and for how long.
PATIENCE_CHECK_SECONDS = 0.05
LONGEST_SILENCE_SECONDS = 600
#: Set on a request that gets no answer.
UNANSWERED = "unanswered"


@dataclass(frozen=True, kw_only=True, slots=True)
class Encounter:
    request: web.Request
    call: Call
    #: Whether what goes wrong does so after the call was executed.
    executed_first: bool


class ApiFaultDraws:
    """
    Decides which fault a call meets.

    Each call draws as many numbers as any other, whatever the knobs are, so the n-th
    call of a seed always has the same luck.
    """

    def __init__(self, seed: int, counts: Counter[str]) -> None:
        self._random = Random(f"api {seed}")  # noqa: S311 -- a repeatable draw, no secret
        self._counts = counts

    async def meet(
        self, knobs: RouteFaults, request: web.Request, call: Call
    ) -> web.StreamResponse:
        luck, half, patience = (self._random.random() for _ in range(3))
        name = _fault(knobs, luck)
        if name is not None:
            self._counts[name] += 1
            return await HAPPEN[name](
                Encounter(request=request, call=call, executed_first=half < 0.5)  # noqa: PLR2004
            )
        answer = await call()
        if patience < knobs.slow_share:
            self._counts["slowed"] += 1
            await asyncio.sleep(knobs.slow_seconds)
        return answer


def _fault(knobs: RouteFaults, luck: float) -> str | None:
    """Find where a number from 0 to 1 falls among the shares, laid end to end."""
    reached = 0.0
    for name, share in (
        ("rate_limited", knobs.rate_limited),
        ("failed", knobs.failing),
        ("timed_out", knobs.timeout_share),
        ("cut", knobs.cut_share),
    ):
        reached += share
        if luck < reached:
            return name
    return None


async def _limit_rate(_encounter: Encounter) -> web.StreamResponse:
    raise FaultAskedFor(429)


async def _fail(encounter: Encounter) -> web.StreamResponse:
    """Answer 500; a retry with the same idempotency key gets the answer that was lost."""
    if encounter.executed_first:
        await encounter.call()
    raise FaultAskedFor(500)


async def _fall_silent(encounter: Encounter) -> web.StreamResponse:
    encounter.request[UNANSWERED] = True
    if encounter.executed_first:
        await encounter.call()
    waited = 0.0
    while _is_there(encounter.request) and waited < LONGEST_SILENCE_SECONDS:
        await asyncio.sleep(PATIENCE_CHECK_SECONDS)
        waited += PATIENCE_CHECK_SECONDS
    return _hang_up(encounter.request, web.StreamResponse())


def _is_there(request: web.Request) -> bool:
    return request.transport is not None and not request.transport.is_closing()


async def _cut(encounter: Encounter) -> web.StreamResponse:
    """Announce the whole answer, and send half of it."""
    encounter.request[UNANSWERED] = True
    answer = await encounter.call()
    body = _bytes(answer.body)
    half = web.StreamResponse(status=answer.status, headers=answer.headers)
    half.content_length = len(body)
    await half.prepare(encounter.request)
    await half.write(body[: len(body) // 2])
    return _hang_up(encounter.request, half)


def _bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else b""


def _hang_up(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.close()
    return response


HAPPEN: dict[str, Callable[[Encounter], Awaitable[web.StreamResponse]]] = {
    "rate_limited": _limit_rate,
    "failed": _fail,
    "timed_out": _fall_silent,
    "cut": _cut,
}
