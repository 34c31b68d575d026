import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Simulated time: the wall's plus what has been advanced."""

    def __init__(self) -> None:
        self._offset = 0
        self._moment: int | None = None

    def take_over(self, saved: "Clock") -> None:
        vars(self).update(vars(saved))

    @property
    def offset(self) -> int:
        return self._offset

    def now(self) -> int:
        return self._moment if self._moment is not None else int(time.time()) + self._offset

    def advance(self, seconds: int) -> None:
        self._offset += seconds

    @contextmanager
    def at(self, moment: int) -> Iterator[None]:
        """Stand still at `moment`, so that what was due then is dated then."""
        outer, self._moment = self._moment, moment
        try:
            yield
        finally:
            self._moment = outer
