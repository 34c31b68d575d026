"""`make fuzz`: real processes, inputs that nobody would think of, and what must hold."""

import asyncio
import random
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from bench import page
from demo.postgres import a_postgres
from fuzz import report
from fuzz.oracle import Tally, Wrong
from fuzz.run import TARGETS, fuzz
from fuzz.world import World, world

DATABASES = ("SQLite", "PostgreSQL")


def main(
    *,
    minutes: Annotated[float, typer.Option(help="How long inputs are sent, in all.")] = 5.0,
    seed: Annotated[int | None, typer.Option(help="Draw what a run with this seed drew.")] = None,
    write: Annotated[bool, typer.Option(help="Write the table into docs/reliability.md.")] = False,
) -> None:
    """Send odd input to every door; exit 1 with the least input that is answered wrongly."""
    drawn = random.randrange(2**32) if seed is None else seed  # noqa: S311 - no secret
    typer.echo(f"Seed {drawn}.")
    share = minutes * 60 / len(DATABASES) / len(TARGETS)
    tallies: dict[tuple[str, str], Tally] = {}
    for database in DATABASES:
        with _running(database) as (loop, running):
            for name, target in TARGETS.items():
                try:
                    tally = fuzz(loop, running, target, seconds=share, first_seed=drawn)
                except Wrong as error:
                    # With its notes: the least input that does it.
                    typer.echo(f"{name}: {''.join(traceback.format_exception_only(error))}")
                    raise typer.Exit(1) from None
                tallies[name, database] = tally
    made = report.table(tallies)
    page.show(report.TOPIC, made)
    if write:
        page.write(report.TOPIC, made, report.PAGE, command="make fuzz")


@contextmanager
def _running(database: str) -> Iterator[tuple[asyncio.AbstractEventLoop, World]]:
    # Hypothesis is not asynchronous: the loop stands still while it draws.
    with asyncio.Runner() as runner, _database_url(runner, database) as url:
        entered = world(url)
        running = runner.run(entered.__aenter__())
        try:
            yield runner.get_loop(), running
        finally:
            runner.run(entered.__aexit__(None, None, None))


@contextmanager
def _database_url(runner: asyncio.Runner, database: str) -> Iterator[str]:
    if database == "SQLite":
        with tempfile.TemporaryDirectory(prefix="paidup-fuzz-") as folder:
            yield f"sqlite+aiosqlite:///{Path(folder) / 'paidup.db'}"
    else:
        with a_postgres() as server:
            yield server.url(runner.run(server.create()))


if __name__ == "__main__":
    typer.run(main)
