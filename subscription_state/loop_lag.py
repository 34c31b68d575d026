"""How late the event loop is: what holds it up shows here before callers tell of it."""

import asyncio
import time
from collections.abc import Callable

#: How often it is measured, in seconds. What holds the loop up for longer is always seen.
EVERY = 0.25
LAG_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


async def measure(observe: Callable[[float], None], *, every: float = EVERY) -> None:
    """Tell, until cancelled, by how many seconds each timer was late."""
    while True:
        due = time.monotonic() + every
        await asyncio.sleep(every)
        observe(max(0.0, time.monotonic() - due))
