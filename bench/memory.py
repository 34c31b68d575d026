"""What a process' memory grows by when it remembers so many accounts that pay."""

import sys
from datetime import UTC, datetime

from bench import filling, load, stacks
from bench.tables import Sizes, Table, spread
from paidup.v1 import billing_service_pb2 as pb

PORTION = 1000


async def measure(sizes: Sizes) -> Table:
    table = Table(columns=("SQLite", "MiB before", "MiB that they added", "bytes each"))
    before, added = [], []
    for _ in range(sizes.runs):
        async with stacks.sqlite(PAIDUP_CACHE_ACCOUNTS=str(sizes.remembered)) as stack:
            await filling.fill_up(stack.database_url, first=1, last=sizes.remembered)
            pid = stack.service.process.pid
            await load.each(stack.service.address, concurrency=1, requests=[load.REQUEST] * 100)
            before.append(stacks.resident(pid))
            await _remember(stack.service.address, sizes.remembered)
            added.append(stacks.resident(pid) - before[-1])
    mebibytes = [[each / 2**20 for each in values] for values in (before, added)]
    each = spread([one / sizes.remembered for one in added])
    named = f"{sizes.remembered:,} accounts"
    table.add(named, *(spread(one) for one in mebibytes), each)
    least = _bare(sizes.remembered)
    table.add(
        "their ids and ends in a dictionary",
        "",
        f"{least / 2**20:,.0f}",
        f"{least / sizes.remembered:,.0f}",
    )
    return table


def _bare(count: int) -> int:
    """Give the bytes of the least that could answer: each id, and until when it is paid."""
    ends = {filling.account(number): datetime.fromtimestamp(number, UTC) for number in range(count)}
    return sys.getsizeof(ends) + sum(
        sys.getsizeof(account_id) + sys.getsizeof(end) for account_id, end in ends.items()
    )


async def _remember(address: str, count: int) -> None:
    requests = [
        pb.BatchCheckEntitlementsRequest(
            checks=[
                pb.BatchCheckEntitlementsRequest.Check(
                    account_id=filling.account(number), feature=stacks.FEATURE
                )
                for number in range(first, min(count + 1, first + PORTION))
            ]
        )
        for first in range(1, count + 1, PORTION)
    ]
    await load.each(address, concurrency=1, requests=requests, method="BatchCheckEntitlements")
