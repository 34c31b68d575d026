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

    def wake(self, kind: str, object_id: str, moment: int) -> None:
        heapq.heappush(self._heap, Due(moment, next(self._order), kind, object_id))

    def pop(self, until: int) -> Due | None:
        if not self._heap or self._heap[0].moment > until:
            return None
        return heapq.heappop(self._heap)
