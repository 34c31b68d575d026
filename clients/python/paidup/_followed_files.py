"""Files that somebody else renews while we run: certificates, keys, tokens."""

import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

log = logging.getLogger("paidup.credentials")

Content = TypeVar("Content")

#: Another file, or another state of the same: device, inode, size, times.
_Stamp: TypeAlias = tuple[tuple[int, ...], ...]

#: In bytes. A longer file is not what it was taken for.
LONGEST_FILE = 1024 * 1024

#: How often files are read in a row that change while they are read.
_ATTEMPTS = 3


class FollowedFiles(Generic[Content]):
    """What some files hold together, read anew when one of them has changed.

    Whoever renews them may be caught in the middle: then what was read before is
    kept, and the log tells. Threads may share one.
    """

    def __init__(
        self,
        files: Sequence[Path],
        read: Callable[[], Content],
        *,
        interval: float = 1.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read them. `read` raises OSError, or ValueError for what it does not understand.

        They are looked at again when somebody asks, at most once in `interval` seconds.
        """
        self._files = files
        self._read = read
        self._interval = interval
        self._now = now
        self._complaint = ""
        # Both in one, so that threads never see one without the other.
        self._seen = self._read_whole()
        self._next_look = now() + interval

    def current(self) -> Content:
        """Return what they hold; the same object until they change."""
        if self._now() >= self._next_look:
            self._next_look = self._now() + self._interval
            self._look()
        return self._seen[1]

    def _look(self) -> None:
        try:
            if self._stamp() == self._seen[0]:
                return
            self._seen = self._read_whole()
        except (OSError, ValueError) as error:
            self._complain(error)
            return
        self._complaint = ""
        log.info("read anew: %s", ", ".join(map(str, self._files)))

    def _read_whole(self) -> tuple[_Stamp, Content]:
        """Read until nothing changed meanwhile, so that what was read belongs together."""
        for _ in range(_ATTEMPTS):
            before = self._stamp()
            content = self._read()
            if self._stamp() == before:
                return before, content
        raise ValueError(f"{self._files[0]}: It changes while it is read.")

    def _stamp(self) -> _Stamp:
        found = [os.stat(file) for file in self._files]  # noqa: PTH116 - follows links, as it must
        return tuple(
            (each.st_dev, each.st_ino, each.st_size, each.st_mtime_ns, each.st_ctime_ns)
            for each in found
        )

    def _complain(self, error: OSError | ValueError) -> None:
        """Say once what is wrong, not at every look."""
        complaint = said(error)
        if complaint != self._complaint:
            log.warning("what was read before is kept: %s", complaint)
        self._complaint = complaint


def said(error: OSError | ValueError) -> str:
    """Tell what is wrong with a file, without anything of what it holds."""
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}"
    return str(error)


def read_bounded(file: Path) -> bytes:
    """Return what a file holds. Raises OSError, or ValueError where it is too long."""
    with file.open("rb") as opened:
        content = opened.read(LONGEST_FILE + 1)
    if len(content) > LONGEST_FILE:
        raise ValueError(f"{file}: The file is too long.")
    return content
