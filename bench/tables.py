"""What a topic measures: its sizes, its figures, and the table that comes of them."""

import statistics
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """How much is measured. These are the published figures' sizes."""

    runs: int = 5
    #: Of one run.
    seconds: float = 3.0
    callers: Sequence[int] = (1, 16, 64)
    accounts: Sequence[int] = (10_000, 1_000_000)
    #: Accounts that are asked about, and remembered.
    asked: int = 1000
    remembered: int = 100_000
    events: int = 2000
    watchers: int = 1000
    changes: int = 20
    purchases: int = 200
    storm_customers: int = 2000
    storm_events: int = 10_000
    quiet: float = 15.0
    leak_calls: int = 1_000_000
    leak_streams: int = 100_000
    objects: int = 2000
    subscriptions: int = 10_000


#: Enough to see that everything runs; no figure of it means anything.
QUICK = Sizes(
    runs=1,
    seconds=0.2,
    callers=(1, 4),
    accounts=(50, 100),
    asked=20,
    remembered=200,
    events=20,
    watchers=5,
    changes=2,
    purchases=2,
    storm_customers=5,
    storm_events=10,
    quiet=1.5,
    leak_calls=200,
    leak_streams=20,
    objects=20,
    subscriptions=20,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """One topic's figures."""

    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    #: What was counted besides, and what was left out and why.
    notes: list[str] = field(default_factory=list)

    def add(self, *cells: str) -> None:
        self.rows.append(cells)


Topic: TypeAlias = Callable[[Sizes], Coroutine[Any, Any, Table]]


def spread(values: Sequence[float], form: str = ",.0f") -> str:
    """Give the median of several runs, with the least and the most."""
    least, most = min(values), max(values)
    return f"{statistics.median(values):{form}} ({least:{form}} to {most:{form}})"


def percentile(values: Sequence[float], percent: int) -> float:
    """Give the value that so many percent of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
