"""`make soak`: real processes, random faults, and a table of how it ended."""

import asyncio
import sys

import typer
from rich.console import Console
from rich.table import Table

from soak import report
from soak.run import Plan, Result, soak

console = Console(highlight=False, soft_wrap=True)


def main(
    *,
    subscriptions: int = typer.Option(default=500, help="How many accounts live at a time."),
    minutes: float = typer.Option(default=15.0, help="How long everything fails."),
    seed: int = typer.Option(default=1, help="What accounts do and what fails is drawn from it."),
    write: bool = typer.Option(default=False, help="Write the table into docs/reliability.md."),
) -> None:
    """Run a deployment under every fault at once; exit 1 where a decision ends wrong."""
    plan = Plan(
        subscriptions=subscriptions,
        seconds=minutes * 60,
        seed=seed,
        action_pause=60,
        kill_pause=10,
        clock_pause=10,
        webhook_delay=30,
        patience=300,
        settings={"PAIDUP_SWEEP_INTERVAL_SECONDS": "30"},
    )
    result = asyncio.run(soak(plan))
    table = report.rows(plan, result)
    _show(table, result)
    if not result.ended_well:
        sys.exit(1)
    if write:
        report.write(table)


def _show(rows: list[tuple[str, str]], result: Result) -> None:
    table = Table("what", "how much")
    for what, how_much in rows:
        table.add_row(what.strip("*"), how_much.strip("*"))
    console.print(table)
    for wrong in result.divergences:
        console.print(f"[red]wrong[/]  {wrong}")
    for differing in result.differing:
        console.print(f"[red]stored otherwise than at Stripe[/]  {differing}")
    for lost in result.lost:
        console.print(f"[red]lost[/]  {lost}")


if __name__ == "__main__":
    typer.run(main)
