"""Checks with few and with many accounts in the database: remembered ones, and first ones."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

from bench import filling, load, stacks
from bench.checks import figures
from bench.tables import Sizes, Table, spread
from demo.postgres import Postgres, a_postgres
from demo.stack import Stack
from paidup.v1 import billing_service_pb2 as pb

COLUMNS = ("database", "accounts", "", "calls/s", "p50 ms", "p99 ms")
CALLERS = 16


async def measure(sizes: Sizes) -> Table:
    table = Table(columns=COLUMNS)
    for name in ("SQLite", "PostgreSQL"):
        with a_postgres() if name == "PostgreSQL" else nullcontext() as server:
            async with _stack(server) as stack:
                await _measure(stack, name, sizes, table)
    return table


@asynccontextmanager
async def _stack(server: Postgres | None) -> AsyncIterator[Stack]:
    if server is None:
        async with stacks.sqlite() as stack:
            yield stack
        return
    async with Stack(database_url=server.url(await server.create())) as stack:
        yield stack


async def _measure(stack: Stack, name: str, sizes: Sizes, table: Table) -> None:
    held = 0
    for count in sizes.accounts:
        await filling.fill_up(stack.database_url, first=held + 1, last=count)
        held = count
        await load.see_entitled(stack.service.address, _requests([count])[0])
        await _of_many(stack, name, count, sizes, table)
        await _alone(stack, count, sizes, table)


async def _of_many(stack: Stack, name: str, count: int, sizes: Sizes, table: Table) -> None:
    address = stack.service.address
    firsts, remembered = [], []
    for _ in range(sizes.runs):
        # Whoever was asked about in a run before may be remembered: few of so many are.
        asked = _requests(random.sample(range(1, count + 1), sizes.asked))
        firsts.append(await load.each(address, concurrency=CALLERS, requests=asked))
        again = load.run(address, concurrency=CALLERS, seconds=sizes.seconds, requests=asked)
        remembered.append(await again)
    table.add(name, f"{count:,}", "remembered", *figures(remembered))
    table.add("", "", "first", *figures(firsts))


async def _alone(stack: Stack, count: int, sizes: Sizes, table: Table) -> None:
    """Ask first by one caller: what one miss takes where nobody shares its read."""
    runs = []
    for _ in range(sizes.runs):
        asked = _requests(random.sample(range(1, count + 1), max(10, sizes.asked // 10)))
        runs.append(await load.each(stack.service.address, concurrency=1, requests=asked))
    p50, p99 = spread([run.p50 for run in runs], ".2f"), spread([run.p99 for run in runs], ".2f")
    table.add("", "", "first, one caller", "", p50, p99)


def _requests(numbers: list[int]) -> list[pb.CheckEntitlementRequest]:
    return [
        pb.CheckEntitlementRequest(account_id=filling.account(each), feature=stacks.FEATURE)
        for each in numbers
    ]
