"""Checks in the caller's process, beside a bare look-up in two dictionaries."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench import stacks
from bench.tables import Sizes, Table, percentile, spread
from paidup import EntitlementCache

COLUMNS = ("in the caller's process", "checks per second of CPU", "p50 µs", "p99 µs")

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


async def measure(sizes: Sizes) -> Table:
    bare = {stacks.ACCOUNT: {stacks.FEATURE: True}}
    runs: dict[str, list[Checks]] = {"two dictionaries": [], "EntitlementCache.entitled": []}
    async with (
        stacks.with_payer() as stack,
        EntitlementCache(stack.service.address, accounts=[stacks.ACCOUNT]) as cache,
    ):
        await cache.wait_until_ready()
        if not cache.entitled(stacks.ACCOUNT, feature=stacks.FEATURE):
            raise RuntimeError("The account is not entitled, so nothing was cached.")
        asked = (
            lambda: bare[stacks.ACCOUNT][stacks.FEATURE],
            lambda: cache.entitled(stacks.ACCOUNT, feature=stacks.FEATURE),
        )
        for _ in range(sizes.runs):
            # Between two runs the cache hears the service.
            await asyncio.sleep(0.1)
            for measured, check in zip(runs.values(), asked, strict=True):
                measured.append(_run(check, sizes.seconds))
    return _table(runs)


def _table(runs: dict[str, list[Checks]]) -> Table:
    table = Table(columns=COLUMNS)
    for name, measured in runs.items():
        rates = spread([each.checks_a_second for each in measured])
        p50, p99 = ([getattr(each, mark) for each in measured] for mark in ("p50", "p99"))
        table.add(name, rates, spread(p50, ".2f"), spread(p99, ".2f"))
    return table


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
    cpu = time.thread_time() - cpu
    return Checks(checks_a_second=count / cpu, p50=percentile(took, 50), p99=percentile(took, 99))
