"""Checks in the caller's process, beside a bare look-up in two dictionaries."""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from paidup import EntitlementCache

#: Answered one after the other before the clock is read again: a clock takes as long as a check.
BATCH = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Checks:
    """One run of checks on one core."""

    #: By the seconds of CPU that they took, so that a busy machine does not count.
    checks_a_second: float
    #: Microseconds of one check, by batches of a hundred.
    p50: float
    p99: float


async def compare(
    address: str, *, account_id: str, feature: str, runs: int, seconds: float
) -> Iterator[tuple[Checks, Checks]]:
    """Give for each run what the dictionaries did, and what the cache."""
    bare = {account_id: {feature: True}}
    async with EntitlementCache(address, accounts=[account_id]) as cache:
        await cache.wait_until_ready()
        if not cache.entitled(account_id, feature=feature):
            raise RuntimeError("The account is not entitled, so nothing was cached.")
        measured = []
        for _ in range(runs):
            # Between two runs the cache hears the service.
            await asyncio.sleep(0.1)
            peer = _run(lambda: bare[account_id][feature], seconds)
            ours = _run(lambda: cache.entitled(account_id, feature=feature), seconds)
            measured.append((peer, ours))
    return iter(measured)


def _run(check: Callable[[], bool], seconds: float) -> Checks:
    took, count = [], 0
    cpu = time.thread_time()
    began = now = time.perf_counter()
    while now < began + seconds:
        for _ in range(BATCH):
            check()
        before, now = now, time.perf_counter()
        took.append((now - before) / BATCH * 1e6)
        count += BATCH
    cuts = statistics.quantiles(took, n=100)
    cpu = time.thread_time() - cpu
    return Checks(checks_a_second=count / cpu, p50=cuts[49], p99=cuts[98])
