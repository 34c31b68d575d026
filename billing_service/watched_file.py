"""Files that say who may call, followed while the service runs.

Their content is compared, not their times: what is mounted changes by a link that is
swapped, other files by a rename. What cannot be used changes nothing.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from billing_service import metrics

log = logging.getLogger(__name__)
T = TypeVar("T")

MOST_BYTES = 1024 * 1024


class FileInvalid(Exception):
    """The file cannot be used; the text names it, says why, and shows nothing of it."""


class WatchedFiles(Generic[T]):
    """Files that make sense together only, and what they said when they last did."""

    def __init__(
        self, kind: str, paths: Sequence[Path], parse: Callable[[Sequence[bytes]], T]
    ) -> None:
        """Read them; raise `FileInvalid`. `parse` may raise it too."""
        self.kind = kind
        self._paths = paths
        self._parse = parse
        self._problem = ""
        self._unusable: str | None = None
        self._loaded, contents = self._read()
        self.current = self._understood(contents)
        self._note("loaded")

    def look(self) -> bool:
        """Take over what they say now; tell whether that differs from what was known."""
        try:
            digest, contents = self._read()
            if digest == self._loaded:
                return self._as_loaded()
            if digest == self._unusable:
                return False
            self._unusable = digest
            self.current = self._understood(contents)
        except FileInvalid as error:
            self._keep(error)
            return False
        self._loaded = digest
        self._note("changed")
        log.info("access_file_changed", extra={"file": self.kind})
        return True

    def _read(self) -> tuple[str, list[bytes]]:
        """Give the contents and their digest: a private key is not kept for comparing it."""
        contents = [_content(path) for path in self._paths]
        return " ".join(hashlib.sha256(each).hexdigest() for each in contents), contents

    def _understood(self, contents: Sequence[bytes]) -> T:
        names = ", ".join(str(path) for path in self._paths)
        try:
            return self._parse(contents)
        except FileInvalid as error:
            raise FileInvalid(f"{names}: {error}") from error
        except Exception as error:
            # Whatever a parser makes of it; its own words may repeat what it read.
            raise FileInvalid(f"{names}: cannot be understood") from error

    def _as_loaded(self) -> bool:
        if self._problem:
            self._unusable, self._problem = None, ""
            metrics.ACCESS_FILE_BROKEN.labels(self.kind).set(0)
        return False

    def _keep(self, error: FileInvalid) -> None:
        metrics.ACCESS_FILE_BROKEN.labels(self.kind).set(1)
        if str(error) == self._problem:
            return
        self._problem = str(error)
        metrics.ACCESS_FILE_LOADS.labels(self.kind, "failed").inc()
        log.error("access_file_unusable", extra={"file": self.kind, "problem": self._problem})

    def _note(self, outcome: str) -> None:
        self._problem = ""
        metrics.ACCESS_FILE_BROKEN.labels(self.kind).set(0)
        metrics.ACCESS_FILE_LOADS.labels(self.kind, outcome).inc()
        metrics.ACCESS_FILE_LOADED.labels(self.kind).set_to_current_time()


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise FileInvalid(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > MOST_BYTES:
        raise FileInvalid(f"{path}: has more than {MOST_BYTES} bytes")
    return content
