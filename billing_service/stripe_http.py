"""Stripe's HTTP, one try at a time: the SDK's own retries are drawn from the budget too."""

import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any

import stripe

from billing_service import metrics
from billing_service.stripe_reading import date_of
from subscription_state.tracing import Span


class Tries:
    """The tries of one call, of which the first was drawn when it was admitted."""

    def __init__(self, draw: Callable[[], Awaitable[None]], span: Span) -> None:
        self._draw = draw
        self._span = span
        self._count = 0

    async def begin(self) -> None:
        """Wait until the next may begin."""
        if self._count > 0:
            await self._draw()
        self._count += 1

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """Note what the last of them was answered, and under which id Stripe knows it."""
        facts = {"http.response.status_code": status, "paidup.stripe_tries": self._count}
        self._span.note({**facts, "paidup.stripe_request_id": headers.get("request-id")})


#: Of the call that is being made; the SDK has no place for it.
TRIES: ContextVar[Tries] = ContextVar("TRIES")


class StripeHttp(stripe.AIOHTTPClient):
    """The SDK's client, which asks before every try."""

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        tries = TRIES.get()
        await tries.begin()
        began = time.time()
        content, status, answered = await super().request_async(method, url, headers, post_data)
        _compare_clocks(answered, began, time.time())
        tries.answered(status, answered)
        return content, status, answered


def _compare_clocks(headers: Mapping[str, str], began: float, ended: float) -> None:
    """Note how far our clock is from Stripe's, which set its `Date` somewhere in between."""
    stamp = date_of(headers)
    if stamp is not None:
        # Its seconds are cut off, by half a one on average.
        metrics.CLOCK_SKEW.set((began + ended) / 2 - (stamp.timestamp() + 0.5))
