"""What `docker build` would be sent: the tree without what `.dockerignore` excludes."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True, kw_only=True, slots=True)
class Pattern:
    """One line of `.dockerignore`; the last one that matches decides."""

    matches: re.Pattern[str]
    excludes: bool


def patterns(text: str) -> tuple[Pattern, ...]:
    lines = (line.strip() for line in text.splitlines())
    return tuple(_pattern(line) for line in lines if line and not line.startswith("#"))


def _pattern(line: str) -> Pattern:
    glob = re.escape(line.removeprefix("!").strip("/"))
    expression = glob.replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
    # A directory's pattern is about all that is in it.
    return Pattern(matches=re.compile(f"{expression}(?:/.*)?"), excludes=not line.startswith("!"))


def is_sent(path: PurePosixPath, rules: Sequence[Pattern]) -> bool:
    decided = [rule.excludes for rule in rules if rule.matches.fullmatch(str(path))]
    return not decided or not decided[-1]


def files(root: Path) -> Iterator[PurePosixPath]:
    """List the files of the context, by their paths within it."""
    rules = patterns((root / ".dockerignore").read_text())
    tops = {line.removeprefix("!").split("/")[0] for line in _included(root)}
    for top in sorted(tops):
        start = root / top
        found = [start] if start.is_file() else sorted(start.rglob("*"))
        for path in found:
            within = PurePosixPath(path.relative_to(root).as_posix())
            if path.is_file() and is_sent(within, rules):
                yield within


def _included(root: Path) -> list[str]:
    """Give the lines that let something in: all else is out, and need not be walked through."""
    lines = (root / ".dockerignore").read_text().splitlines()
    return [line.strip() for line in lines if line.startswith("!")]
