"""How much one caller may ask for at a time, so that none takes the service from the others.

Off unless a setting says otherwise: a method without a limit is not wrapped at all. Each
process counts for itself.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from billing_service import current_call, metrics
from billing_service.errors import Overloaded

log = logging.getLogger(__name__)

Behavior = Callable[[Any, Any], Awaitable[Any]]

#: Callers that are kept count of: those that called last.
MOST_CALLERS = 10_000
#: How long nothing more is logged of a caller that was refused, in seconds.
SILENCE = 10.0
#: When a call that found no room may come again: nobody knows when another ends.
ROOM_AFTER = timedelta(seconds=1)

PER_SECOND = "calls_per_second"
AT_A_TIME = "concurrent_calls"
STREAMS = "streams"


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one caller may do; 0 is without a limit."""

    calls_per_second: int = 0
    concurrent_calls: int = 0
    streams: int = 0


@dataclass(slots=True, eq=False)
class _Caller:
    """What one caller has left."""

    #: Calls that may begin at once, as of `counted`.
    left: float
    counted: float
    calls: int = 0
    streams: int = 0
    silent_until: float = 0.0


class CallerLimits:
    """Keeps count of every caller, as `current_call` names them."""

    def __init__(
        self, limits: Limits | None = None, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._limits = limits or Limits()
        self._monotonic = monotonic
        self._callers: OrderedDict[str, _Caller] = OrderedDict()

    def around(self, behavior: Behavior, *, streams: bool) -> Behavior:
        """Give a method's behavior within the limits; itself where none applies to it."""
        room = self._stream if streams else self._call
        if not self._applies(streams=streams):
            return behavior

        async def limited(request: Any, context: Any) -> Any:
            with room():
                return await behavior(request, context)

        return limited

    def _applies(self, *, streams: bool) -> bool:
        kind = self._limits.streams if streams else self._limits.concurrent_calls
        return bool(kind or self._limits.calls_per_second)

    @contextmanager
    def _call(self) -> Iterator[None]:
        caller = self._calling()
        if 0 < self._limits.concurrent_calls <= caller.calls:
            self._refuse(caller, AT_A_TIME, ROOM_AFTER)
        self._draw(caller)
        caller.calls += 1
        try:
            yield
        finally:
            caller.calls -= 1

    @contextmanager
    def _stream(self) -> Iterator[None]:
        caller = self._calling()
        if 0 < self._limits.streams <= caller.streams:
            self._refuse(caller, STREAMS, ROOM_AFTER)
        self._draw(caller)
        caller.streams += 1
        try:
            yield
        finally:
            caller.streams -= 1

    def _calling(self) -> _Caller:
        name = current_call.caller()
        caller = self._callers.get(name)
        if caller is None:
            caller = _Caller(left=self._limits.calls_per_second, counted=self._monotonic())
            self._callers[name] = caller
            if len(self._callers) > MOST_CALLERS:
                self._callers.popitem(last=False)
        self._callers.move_to_end(name)
        return caller

    def _draw(self, caller: _Caller) -> None:
        """Take one of the caller's calls; a second without any gives it all of them back."""
        rate = self._limits.calls_per_second
        if not rate:
            return
        now = self._monotonic()
        caller.left = min(float(rate), caller.left + (now - caller.counted) * rate)
        caller.counted = now
        if caller.left < 1:
            self._refuse(caller, PER_SECOND, timedelta(seconds=(1 - caller.left) / rate))
        caller.left -= 1

    def _refuse(self, caller: _Caller, limit: str, delay: timedelta) -> None:
        metrics.CALLER_REFUSALS.labels(limit).inc()
        now = self._monotonic()
        if now >= caller.silent_until:
            caller.silent_until = now + SILENCE
            facts = {"caller": current_call.caller(), "limit": limit}
            log.warning("caller_over_limit", extra=facts)
        raise Overloaded.by_caller(limit, delay)
