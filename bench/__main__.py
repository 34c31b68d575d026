"""`make bench`: checks beside a bare echo, and calls in a storm of webhooks beside the quiet."""

import statistics
import tempfile
from pathlib import Path

import typer
import uvloop
from rich.console import Console
from rich.table import Table

import paidup
from bench import beside, cached
from bench.load import Run, run
from demo.emulator import Emulator
from demo.processes import Process
from demo.stack import Stack
from paidup import LineItem

ACCOUNT = "acme"
CARD = "4242424242424242"


def main(
    *,
    runs: int = typer.Option(default=5, help="Runs of each; the table has their median."),
    seconds: float = typer.Option(default=3.0, help="How long one run takes."),
    storm_customers: int = typer.Option(default=2000, help="Customers of the storm; 0: none."),
    storm_events: int = typer.Option(default=10_000, help="Webhooks of the storm."),
) -> None:
    """Measure checks of a paying account on SQLite, then what a storm of webhooks does to them."""
    uvloop.run(_measure(runs, seconds))
    if storm_customers:
        uvloop.run(beside.compare(customers=storm_customers, events=storm_events))


async def _measure(runs: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="paidup-bench-") as folder:
        url = f"sqlite+aiosqlite:///{Path(folder) / 'paidup.db'}"
        async with Stack(database_url=url) as stack:
            echo = await Process.start("echo", ["bench.echo"], {})
            try:
                await _buy(stack)
                await _compare(stack.service.address, echo.address, runs, seconds)
                await _compare_cached(stack.service.address, runs, seconds)
            finally:
                await echo.kill()


async def _buy(stack: Stack) -> None:
    async with paidup.BillingClient(stack.service.address) as client:
        await client.wait_for_ready()
        session = await client.create_checkout_session(
            account_id=ACCOUNT,
            line_items=[LineItem(price="basic_monthly")],
            return_url="http://localhost:4242/return?session_id={CHECKOUT_SESSION_ID}",
        )
        emulator: Emulator = stack.emulator
        await emulator.pay(session.session_id, number=CARD, email="ada@example.com")
        await client.get_session_status(account_id=ACCOUNT, session_id=session.session_id)
        await emulator.drain()


async def _compare(service: str, echo: str, runs: int, seconds: float) -> None:
    table = Table("callers", "", "calls/s", "p50 ms", "p99 ms", "of the echo's calls")
    for concurrency in (1, 16, 64):
        ours, peers = [], []
        for _ in range(runs):
            # In turns, so that a slow moment of the machine meets both.
            peers.append(await run(echo, concurrency=concurrency, seconds=seconds))
            ours.append(await run(service, concurrency=concurrency, seconds=seconds))
        ratios = [a.calls_a_second / b.calls_a_second for a, b in zip(ours, peers, strict=True)]
        _row(table, str(concurrency), "echo", peers, "")
        _row(table, "", "CheckEntitlement", ours, f"{statistics.median(ratios):.2f}")
    Console().print(table)


async def _compare_cached(service: str, runs: int, seconds: float) -> None:
    measured = list(
        await cached.compare(
            service, account_id=ACCOUNT, feature="api_access", runs=runs, seconds=seconds
        )
    )
    table = Table(
        "in the caller's process, one core", "checks per second of CPU", "p50 µs", "p99 µs"
    )
    for name, turn in {"two dictionaries": 0, "EntitlementCache.entitled": 1}.items():
        each = [pair[turn] for pair in measured]
        rate = [run.checks_a_second for run in each]
        spread = f"{statistics.median(rate):,.0f} ({min(rate):,.0f} to {max(rate):,.0f})"
        p50 = f"{statistics.median(run.p50 for run in each):.2f}"
        p99 = f"{statistics.median(run.p99 for run in each):.2f}"
        table.add_row(name, spread, p50, p99)
    Console().print(table)


def _row(table: Table, callers: str, name: str, runs: list[Run], ratio: str) -> None:
    calls = [each.calls_a_second for each in runs]
    spread = f"{statistics.median(calls):,.0f} ({min(calls):,.0f} to {max(calls):,.0f})"
    p50 = f"{statistics.median(each.p50 for each in runs):.2f}"
    p99 = f"{statistics.median(each.p99 for each in runs):.2f}"
    table.add_row(callers, name, spread, p50, p99, ratio)


if __name__ == "__main__":
    typer.run(main)
