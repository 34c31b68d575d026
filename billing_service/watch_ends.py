"""When the clock will change what watched accounts may use."""

import heapq
from collections.abc import Iterable
from datetime import datetime


class Ends:
    """A heap of moments; each account and moment is in it once."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, str]] = []
        self._held: set[tuple[datetime, str]] = set()

    def add(self, account_id: str, moments: Iterable[datetime]) -> None:
        for moment in moments:
            entry = (moment, account_id)
            if entry not in self._held:
                self._held.add(entry)
                heapq.heappush(self._heap, entry)

    def next(self) -> datetime | None:
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: datetime) -> set[str]:
        """Take out the accounts whose moment has come."""
        due = set()
        while self._heap and self._heap[0][0] <= now:
            entry = heapq.heappop(self._heap)
            self._held.remove(entry)
            due.add(entry[1])
        return due

    def clear(self) -> None:
        self._heap.clear()
        self._held.clear()
