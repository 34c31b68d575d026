"""`CheckEntitlement` beside a bare echo of the same messages, from our client and another's."""

import statistics
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from itertools import cycle

from bench import h2load, load, stacks
from bench.load import Run
from bench.tables import Sizes, Table, spread
from billing_service import answer_cache
from paidup.v1 import billing_service_pb2 as pb

COLUMNS = ("callers", "client", "", "calls/s", "p50 ms", "p99 ms", "of the echo's calls")
Load = Callable[..., Awaitable[Run]]


def _never_the_same() -> Iterator[pb.CheckEntitlementRequest]:
    """Ask about more in turn than answers are kept of, so that each is decided and written anew."""
    return cycle(
        [
            pb.CheckEntitlementRequest(account_id=stacks.ACCOUNT, feature=f"feature-{number}")
            for number in range(answer_cache.MOST * 6 // 5)
        ]
    )


async def measure(sizes: Sizes) -> Table:
    table = Table(columns=COLUMNS)
    async with stacks.with_payer() as stack, stacks.process("echo", ["bench.echo"]) as echo:
        ours = stack.service.address
        loads: dict[str, Load] = {
            "echo": partial(load.run, echo.address),
            "CheckEntitlement": partial(load.run, ours),
            "CheckEntitlement, never the same": partial(load.run, ours, requests=_never_the_same()),
        }
        await _add(table, "paidup's Python", loads, sizes)
        if h2load.is_there():
            loads = {
                "echo": partial(h2load.run, echo.address),
                "CheckEntitlement": partial(h2load.run, ours),
            }
            await _add(table, "h2load", loads, sizes)
        else:
            table.notes.append(h2load.MISSING)
    return table


async def _add(table: Table, client: str, loads: Mapping[str, Load], sizes: Sizes) -> None:
    """Add a client's rows: the echo first, then what is beside it."""
    for callers in sizes.callers:
        echo, *others = (await _in_turns(loads, callers, sizes)).items()
        table.add(str(callers), client, echo[0], *figures(echo[1]), "")
        for name, runs in others:
            table.add("", "", name, *figures(runs), f"{_ratio(runs, echo[1]):.2f}")


def _ratio(ours: list[Run], peers: list[Run]) -> float:
    pairs = zip(ours, peers, strict=True)
    return statistics.median(a.calls_a_second / b.calls_a_second for a, b in pairs)


async def _in_turns(loads: Mapping[str, Load], callers: int, sizes: Sizes) -> dict[str, list[Run]]:
    """Measure all again and again, so that a slow moment of the machine meets each."""
    measured: dict[str, list[Run]] = {name: [] for name in loads}
    for _ in range(sizes.runs):
        for name, run in loads.items():
            measured[name].append(await run(concurrency=callers, seconds=sizes.seconds))
    return measured


def figures(runs: list[Run]) -> tuple[str, str, str]:
    return (
        spread([each.calls_a_second for each in runs]),
        spread([each.p50 for each in runs], ".2f"),
        spread([each.p99 for each in runs], ".2f"),
    )
