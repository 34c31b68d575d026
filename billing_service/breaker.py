"""Stops calling Stripe for a while when it does not answer, so that calls do not pile up."""

import time
from collections.abc import Callable
from datetime import timedelta

from billing_service.errors import StripeUnavailable


class Breaker:
    """Opens after `failures` outages in a row; after `pause` seconds lets one call try."""

    def __init__(
        self,
        *,
        failures: int = 5,
        pause: float = 5.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = failures
        self._pause = pause
        self._monotonic = monotonic
        self._failures = 0
        self._closed_at = 0.0

    def check(self) -> None:
        """Raise `StripeUnavailable` while open, with the time that is left."""
        left = self._closed_at - self._monotonic()
        if self._failures >= self._limit and left > 0:
            raise StripeUnavailable(timedelta(seconds=left))

    def admit(self) -> None:
        """Let a call go ahead; raise `StripeUnavailable` while open."""
        self.check()
        if self._failures >= self._limit:
            # This call tries; others wait for what becomes of it.
            self._closed_at = self._monotonic() + self._pause

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self) -> None:
        self._failures += 1
        self._closed_at = self._monotonic() + self._pause
