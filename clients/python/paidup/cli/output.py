"""What a command prints: one form for scripts, one for people."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from io import StringIO
from typing import Any, TypeAlias, TypeVar

from google.protobuf.message import Message
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from paidup.cli.json_form import as_json

Answer = TypeVar("Answer", bound=Message)
#: The columns of a table: what stands above each, and what stands in it.
Columns: TypeAlias = Mapping[str, Callable[[Answer], str]]

#: Where no terminal cuts lines off, nothing does.
_UNBOUNDED = 10_000


class Output:
    """Writes answers to stdout, as JSON or as text."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._on_terminal = sys.stdout.isatty()
        self._colours = self._on_terminal and not os.environ.get("NO_COLOR")

    def tell(self, answer: Answer, text: Callable[[Answer], Sequence[RenderableType]]) -> None:
        """Print an answer: as one JSON object, or as `text` puts it."""
        if self.as_json:
            self.tell_json(as_json(answer))
        else:
            self.tell_text(*text(answer))

    def tell_each(self, answers: Iterable[Answer], columns: Columns[Answer]) -> None:
        """Print a list: a line of JSON each, as they come, or a table of all."""
        if not self.as_json:
            self.tell_text(table(answers, columns))
            return
        for answer in answers:
            self.tell_json(as_json(answer))

    def tell_json(self, value: Mapping[str, Any]) -> None:
        self._write(json.dumps(value) + "\n")

    def tell_text(self, *parts: RenderableType) -> None:
        # Rich would end the process where nobody reads; that is for the command to decide.
        page = StringIO()
        console = Console(
            file=page,
            force_terminal=self._colours,
            color_system="standard" if self._colours else None,
            width=None if self._on_terminal else _UNBOUNDED,
            highlight=False,
            markup=False,
            emoji=False,
        )
        for part in parts:
            console.print(part, soft_wrap=not isinstance(part, Table))
        self._write("".join(f"{line.rstrip()}\n" for line in page.getvalue().splitlines()))

    def _write(self, text: str) -> None:
        # Past the buffer: what could not be written would be tried again at the end of the
        # process, which Python would then end with a code of its own.
        remaining = memoryview(text.encode("utf-8", "backslashreplace"))
        while remaining:
            remaining = remaining[os.write(sys.stdout.fileno(), remaining) :]


def table(answers: Iterable[Answer], columns: Columns[Answer]) -> RenderableType:
    """Lay answers out in columns; a word where there is none."""
    rows = [[Text(clean(cell(answer))) for cell in columns.values()] for answer in answers]
    if not rows:
        return Text("none")
    laid_out = Table(*columns, box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in laid_out.columns:
        # Ids are copied from here, so they are folded rather than cut off.
        column.overflow = "fold"
    for row in rows:
        laid_out.add_row(*row)
    return laid_out


def clean(text: str) -> str:
    """Show what would move a terminal's cursor or colour it as escapes: others wrote it."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
