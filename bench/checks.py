"""`CheckEntitlement` beside a bare echo of the same messages, from our client and another's."""

import statistics
from collections.abc import Awaitable, Callable

from bench import h2load, load, stacks
from bench.load import Run
from bench.tables import Sizes, Table, spread

COLUMNS = ("callers", "client", "", "calls/s", "p50 ms", "p99 ms", "of the echo's calls")
Load = Callable[..., Awaitable[Run]]


async def measure(sizes: Sizes) -> Table:
    table = Table(columns=COLUMNS)
    clients: dict[str, Load] = {"paidup's Python": load.run}
    if h2load.is_there():
        clients["h2load"] = h2load.run
    else:
        table.notes.append(h2load.MISSING)
    async with stacks.with_payer() as stack, stacks.process("echo", ["bench.echo"]) as echo:
        for client, run in clients.items():
            for callers in sizes.callers:
                peers, ours = await _in_turns(
                    run, (echo.address, stack.service.address), callers, sizes
                )
                _add(table, str(callers), client, peers, ours)
    return table


async def _in_turns(
    run: Load, addresses: tuple[str, str], callers: int, sizes: Sizes
) -> list[list[Run]]:
    """Measure both again and again, so that a slow moment of the machine meets both."""
    measured: list[list[Run]] = [[], []]
    for _ in range(sizes.runs):
        for runs, address in zip(measured, addresses, strict=True):
            runs.append(await run(address, concurrency=callers, seconds=sizes.seconds))
    return measured


def _add(table: Table, callers: str, client: str, peers: list[Run], ours: list[Run]) -> None:
    ratios = [a.calls_a_second / b.calls_a_second for a, b in zip(ours, peers, strict=True)]
    table.add(callers, client, "echo", *figures(peers), "")
    table.add("", "", "CheckEntitlement", *figures(ours), f"{statistics.median(ratios):.2f}")


def figures(runs: list[Run]) -> tuple[str, str, str]:
    return (
        spread([each.calls_a_second for each in runs]),
        spread([each.p50 for each in runs], ".2f"),
        spread([each.p99 for each in runs], ".2f"),
    )
