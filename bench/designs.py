"""Designs of a server on this machine's cores: asyncio, threads, processes at one port."""

from contextlib import AsyncExitStack

from bench import load, stacks
from bench.checks import figures
from bench.tables import Sizes, Table
from demo.stack import settled

COLUMNS = ("", "callers", "calls/s", "p50 ms", "p99 ms")
#: More than processes, so that the kernel can spread them.
CONNECTIONS = 8


async def measure(sizes: Sizes) -> Table:
    """Load each over eight connections; the load itself takes a core of the machine."""
    table = Table(columns=COLUMNS)
    async with AsyncExitStack() as running:
        addresses = await _start_all(running)
        for callers in sizes.callers:
            runs: dict[str, list[load.Run]] = {name: [] for name in addresses}
            for _ in range(sizes.runs):
                for name, address in addresses.items():
                    run = load.run(
                        address,
                        concurrency=callers,
                        seconds=sizes.seconds,
                        connections=CONNECTIONS,
                    )
                    runs[name].append(await run)
            for name, measured in runs.items():
                table.add(name, str(callers), *figures(measured))
    return table


async def _start_all(running: AsyncExitStack) -> dict[str, str]:
    shared = settled("127.0.0.1:0")

    async def echo(*arguments: str) -> str:
        starting = stacks.process("echo", ["bench.echo", *arguments])
        return (await running.enter_async_context(starting)).address

    addresses = {
        "echo, asyncio": await echo("asyncio"),
        "echo, threads": await echo("threads"),
        "echo, 2 processes with asyncio": await echo("asyncio", shared),
    }
    await echo("asyncio", shared)
    one = await running.enter_async_context(stacks.with_payer())
    addresses["CheckEntitlement"] = one.service.address
    one.workers = 2
    one.settings = {"PAIDUP_METRICS_LISTEN": "127.0.0.1:0"}
    addresses["CheckEntitlement, --workers 2"] = (await one.start_service()).address
    return addresses
