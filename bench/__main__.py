"""`make bench`: each topic measured beside its limit in the same run, one table each."""

from typing import Annotated

import typer
import uvloop

from bench import (
    accounts,
    batches,
    beside,
    cached,
    checks,
    designs,
    emulator,
    fan_out,
    leaks,
    memory,
    page,
    purchases,
    replicas,
    webhooks,
)
from bench.tables import QUICK, Sizes, Topic

TOPICS: dict[str, Topic] = {
    "checks": checks.measure,
    "designs": designs.measure,
    "batches": batches.measure,
    "cached": cached.measure,
    "accounts": accounts.measure,
    "memory": memory.measure,
    "webhooks": webhooks.measure,
    "replicas": replicas.measure,
    "fan-out": fan_out.measure,
    "purchases": purchases.measure,
    "storm": beside.measure,
    "leaks": leaks.measure,
    "emulator": emulator.measure,
}


def main(
    topics: Annotated[
        list[str] | None, typer.Argument(help=f"Of {', '.join(TOPICS)}; none: all.")
    ] = None,
    *,
    quick: Annotated[bool, typer.Option(help="Tiny sizes, to see that it runs.")] = False,
    write: Annotated[bool, typer.Option(help="Write docs/performance.md.")] = False,
) -> None:
    """Measure this project, each figure beside its limit in the same run."""
    unknown = set(topics or ()) - TOPICS.keys()
    if unknown:
        raise typer.BadParameter(f"No topic {', '.join(sorted(unknown))}.")
    if quick and write:
        raise typer.BadParameter("Figures of --quick mean nothing, so they are not written.")
    for name in topics or TOPICS:
        table = uvloop.run(TOPICS[name](QUICK if quick else Sizes()))
        page.show(name, table)
        if write:
            page.write(name, table)


if __name__ == "__main__":
    typer.run(main)
