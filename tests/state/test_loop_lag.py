"""The event loop's lag is seen."""

import asyncio
import time

from subscription_state import loop_lag


async def test_what_holds_the_loop_up_is_seen() -> None:
    seen: list[float] = []
    measuring = asyncio.create_task(loop_lag.measure(seen.append, every=0.01))
    async with asyncio.timeout(10):
        while not seen:
            await asyncio.sleep(0.001)

    time.sleep(0.3)  # noqa: ASYNC251 - the fault that is to be seen
    calm = len(seen)
    async with asyncio.timeout(10):
        while len(seen) == calm:
            await asyncio.sleep(0.001)
    measuring.cancel()

    assert min(seen) >= 0
    assert max(seen) > 0.2
