"""A machine's clock that a test puts while processes run, by libfaketime."""

import glob
from pathlib import Path

import pytest

#: Where Debian's package `libfaketime` puts it.
LIBRARY = "/usr/lib/*/faketime/libfaketime.so.1"


class Clock:
    """The clock of the processes that were started under it; it can be put while they run."""

    def __init__(self, folder: Path) -> None:
        found = glob.glob(LIBRARY)  # noqa: PTH207 - not below a folder of ours
        if not found:
            pytest.skip("This machine has no libfaketime (Debian: faketime): no clock is put.")
        self._file = folder / "clock"
        self.put(0)
        #: With what a process is to be started.
        self.variables = {
            "LD_PRELOAD": found[0],
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            # A machine's clock is put; the time since its start goes on.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def put(self, seconds: int) -> None:
        """Put it so many seconds ahead of the truth."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.rename(self._file)
