"""The project's pages as tests read them."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: Made by tools; never the project's own text.
NOT_OURS = {".venv", "var", "dist", "build", "artifacts", "node_modules", "__pycache__"}

_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Page:
    """A page in Markdown."""

    path: Path

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        return self.path.read_text()

    @property
    def prose(self) -> str:
        """The text without its blocks of code."""
        return _FENCE.sub("", self.text)

    @property
    def links(self) -> list[str]:
        return _LINK.findall(self.prose)

    @property
    def anchors(self) -> set[str]:
        """What a link into the page may name, as GitHub makes it of headings."""
        return {_slug(heading) for heading in _HEADING.findall(self.prose)}

    def code(self, language: str) -> list[str]:
        return [code for name, code in _FENCE.findall(self.text) if name == language]

    def section(self, heading: str) -> str:
        """The text under a heading, up to the next of its level or above."""
        level = len(heading) - len(heading.lstrip("#"))
        _, found, rest = self.text.partition(f"\n{heading}\n")
        assert found, f"{self} has no {heading!r}"
        return re.split(rf"^#{{1,{level}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def page(path: str) -> Page:
    return Page(ROOT / path)


def _slug(heading: str) -> str:
    plain = re.sub(r"[`*]|\]\([^)]*\)|\[", "", heading).lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def text_files() -> Iterator[tuple[str, str]]:
    """Give the project's own files that are text, by their paths."""
    for path in _files():
        try:
            yield str(path.relative_to(ROOT)), path.read_text()
        except UnicodeDecodeError:
            continue


def pages() -> list[Page]:
    return [Page(path) for path in _files() if path.suffix == ".md"]


def _files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    # A copy without its history, such as a source distribution, is read whole.
    named = listed.stdout.split("\0") if listed.returncode == 0 else _walk()
    return [ROOT / name for name in sorted(filter(None, named)) if (ROOT / name).is_file()]


def _walk() -> Iterator[str]:
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        if not NOT_OURS & set(parts) and not any(part.endswith("_cache") for part in parts):
            yield str(path.relative_to(ROOT))
