"""What a cache is told to do, checked."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from pathlib import Path

#: What one stream can name.
MOST_NAMED = 10_000

#: The service sends a heartbeat every five seconds; one may be lost on the way.
LEAST_STALENESS = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheSettings:
    """All times in seconds."""

    #: None means: whichever are asked about.
    accounts: frozenset[str] | None = None
    max_staleness: float = 15.0
    last_known_good_max_age: float = 3600.0
    last_known_good_path: Path | None = None
    fail_open: bool = False
    max_accounts: int = 10_000
    rpc_timeout: float = 2.0

    def __post_init__(self) -> None:
        if self.accounts is not None and not 1 <= len(self.accounts) <= MOST_NAMED:
            raise ValueError(f"Name 1 to {MOST_NAMED:,} accounts, or none to follow all.")
        if not LEAST_STALENESS <= self.max_staleness < inf:
            raise ValueError(f"max_staleness is {LEAST_STALENESS:g} seconds or more.")
        if not 0 <= self.last_known_good_max_age < inf:
            raise ValueError("last_known_good_max_age is 0 seconds or more.")
        if not 0 < self.rpc_timeout < inf:
            raise ValueError("rpc_timeout is a positive number of seconds.")
        if self.max_accounts < max(1, len(self.accounts or ())):
            raise ValueError("max_accounts is too small for what is to be held.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How quickly a cache tries again. Tests are in a hurry."""

    #: Before the first repetition; each further one waits twice as long.
    first_retry: float = 0.1
    longest_retry: float = 10.0
    #: Before a service that could not be followed is asked whether it can by now.
    unwatched: float = 60.0
    #: How often staleness is looked for.
    tick: float = 0.5
    #: Between two files of what is known.
    save: float = 30.0


def named(accounts: Iterable[str] | None) -> frozenset[str] | None:
    """Return the accounts that were named; None for all."""
    if isinstance(accounts, str):
        raise TypeError("accounts is a list of ids, not one.")
    return None if accounts is None else frozenset(accounts)
