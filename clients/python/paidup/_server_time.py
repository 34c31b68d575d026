"""The service's clock, as far as a caller can know it.

Ends such as a trial's are moments of the service's clock. The caller's own may be
wrong, and may jump; what never jumps back is its monotonic clock. So every message's
`send_time` is compared with that.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial


def _monotonic() -> Callable[[], float]:
    # Linux's monotonic clock stands still while the machine is suspended; memory ages then too.
    if hasattr(time, "CLOCK_BOOTTIME"):
        return partial(time.clock_gettime, time.CLOCK_BOOTTIME)
    return time.monotonic


@dataclass(frozen=True, kw_only=True, slots=True)
class Clock:
    """Two clocks, in seconds. Tests bring their own."""

    #: Never jumps. Decides how old memory is, and with `send_time` what has ended.
    monotonic: Callable[[], float] = field(default_factory=_monotonic)
    #: The time of day. Stands in for the service's until a stream has told that.
    wall: Callable[[], float] = time.time


class ServerTime:
    """Tells how late it is at the service, never too early.

    A stream's first message was sent after the stream was asked for. That bounds how
    far the service's clock is ahead of ours, however long the message was on its
    way: it may be a little later there than the truth, so ends come early by as much
    as that first message took, and never late.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        #: Add it to the monotonic clock for the service's time of day.
        self.ahead = clock.wall() - clock.monotonic()
        self._begun: float | None = None

    def begin(self) -> None:
        """Note that a stream is being asked for now, perhaps of another replica."""
        self._begun = self._clock.monotonic()

    def ask_wall_clock(self) -> None:
        """Go by the time of day, which may jump: back, it is not followed."""
        self.ahead = max(self.ahead, self._clock.wall() - self._clock.monotonic())

    def sent(self, send_time: float, received: float) -> float:
        """Return the monotonic time before which a message was certainly not sent."""
        if self._begun is not None:
            self.ahead = send_time - self._begun
            self._begun = None
        # Nothing is received before it is sent: the service's clock was put forward.
        self.ahead = max(self.ahead, send_time - received)
        return send_time - self.ahead
