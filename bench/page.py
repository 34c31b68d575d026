"""Writes tables to a terminal, and into `docs/performance.md` between its marks."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable

from bench.tables import Table

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"


def show(name: str, table: Table) -> None:
    shown = RichTable(*table.columns, title=name)
    for row in table.rows:
        shown.add_row(*row)
    # Wide where nobody looks, so that a file has whole rows.
    console = Console() if Console().is_terminal else Console(width=160)
    console.print(shown)
    for note in table.notes:
        console.print(note, highlight=False)


def machine() -> str:
    """Tell on what it was measured."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("grpcio", "protobuf", "uvloop"))
    return (
        f"{len(os.sched_getaffinity(0))} cores ({platform.machine()}, {_processor()}), "
        f"{platform.system()}, Python {platform.python_version()}, {versions}."
    )


def _processor() -> str:
    found = Path("/proc/cpuinfo")
    lines = found.read_text().splitlines() if found.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "processor not told"


def write(topic: str, table: Table, page: Path = PAGE, *, command: str = "make bench") -> None:
    """Put the table between the page's two marks of its topic."""
    begin, end = marks(topic, command)
    before, found, rest = page.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{page} has no marks of {topic}.")
    page.write_text(f"{before}{begin}\n{_markdown(table)}{end}{after}")


def marks(topic: str, command: str = "make bench") -> tuple[str, str]:
    return f"<!-- Written by `{command}`: {topic}. -->", f"<!-- Until here: {topic}. -->"


def _markdown(table: Table) -> str:
    heading = _line(table.columns) + _line(["---", *["---:"] * (len(table.columns) - 1)])
    rows = "".join(_line(row) for row in table.rows)
    notes = "".join(f"\n{note}\n" for note in table.notes)
    return f"{heading}{rows}{notes}\nMeasured on {machine()}\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
