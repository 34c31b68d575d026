import heapq
import itertools
from typing import NamedTuple


class Due(NamedTuple):
    moment: int
    order: int
    kind: str
    object_id: str


class Agenda:
    """
    Which objects to look at when.

    An entry says only that something may be due: who wakes up looks at its own
    state, so entries that time has overtaken do no harm and are never removed.
    """

    def __init__(self) -> None:
        self._heap: list[Due] = []
        self._order = itertools.count()

    def __getstate__(self) -> dict[str, list[Due]]:
        return {"_heap": self._heap}

    def __setstate__(self, saved: dict[str, list[Due]]) -> None:
        self._heap = saved["_heap"]
        self._order = itertools.count(max((due.order for due in self._heap), default=-1) + 1)

    def wake(self, kind: str, object_id: str, moment: int) -> None:
        heapq.heappush(self._heap, Due(moment, next(self._order), kind, object_id))

    def pop(self, until: int) -> Due | None:
        if not self._heap or self._heap[0].moment > until:
            return None
        return heapq.heappop(self._heap)
