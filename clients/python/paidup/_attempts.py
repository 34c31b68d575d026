"""When to try again: streams that ended, and RPCs while the service is away."""

import random
from collections.abc import Callable

from paidup._cache_settings import Pace


class Backoff:
    """Waits that double, with jitter, so that many callers do not come back at once."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._failures = 0

    def succeeded(self) -> None:
        self._failures = 0

    def next_delay(self) -> float:
        exponent = min(self._failures, 30)
        self._failures += 1
        delay = min(self._pace.longest_retry, self._pace.first_retry * 2.0**exponent)
        return delay * random.uniform(0.5, 1)  # noqa: S311 - no secret


class Breaker:
    """Keeps checks from waiting, one after the other, for a service that is away."""

    #: Failures in a row before it opens.
    FAILURES = 3
    #: Seconds for which nothing is asked then.
    PAUSE = 1.0

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._failures = 0
        self._closed_from = float("-inf")

    def allows(self) -> bool:
        return self._now() >= self._closed_from

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self) -> None:
        self._failures += 1
        if self._failures >= self.FAILURES:
            self._closed_from = self._now() + self.PAUSE
