"""Waiting for a merchant's webhook endpoint before the customer is sent on, as Checkout does."""

import asyncio
import contextlib
from collections.abc import Sequence

from stripe_emulator.tables import StripeObject

LONGEST_WAIT = 10.0
POLL = 0.02


async def wait(events: Sequence[StripeObject], longest: float = LONGEST_WAIT) -> None:
    """Wait until every endpoint has taken these events, but not for ever."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(longest):
            while any(event["pending_webhooks"] > 0 for event in events):
                await asyncio.sleep(POLL)
