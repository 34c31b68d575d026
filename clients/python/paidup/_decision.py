"""What a cache answers, where the answer came from, and how the cache fares."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from paidup.v1.entitlement_pb2 import EntitlementReason


class Source(StrEnum):
    """Where an answer came from, the best first."""

    #: From memory, no older than `max_staleness`.
    MEMORY = "memory"
    #: The service was asked for this answer.
    RPC = "rpc"
    #: From memory or a file, no older than `last_known_good_max_age`.
    LAST_KNOWN_GOOD = "last_known_good"
    #: Nothing is known: the answer is what the settings say.
    FALLBACK = "fallback"


class CacheState(StrEnum):
    """How far what a cache holds can be trusted.

    CONNECTING ──► READY ◄──► STALE
         └───────────┴──► UNWATCHED ──► READY
    """

    #: The service has not been heard yet.
    CONNECTING = "connecting"
    #: All that is held was whole no longer than `max_staleness` ago.
    READY = "ready"
    #: It was, but nothing has been heard for too long, or changes were missed.
    STALE = "stale"
    #: The service cannot be followed: every answer is asked for, and kept for
    #: `max_staleness`. It is asked now and then whether it can by now.
    UNWATCHED = "unwatched"


class Question(NamedTuple):
    """Whether an account may use a feature or a product; one of the two is None."""

    account_id: str
    feature: str | None
    product_id: str | None


def question(account_id: str, feature: str | None, product_id: str | None) -> Question:
    if (feature is None) == (product_id is None):
        raise TypeError("Name either a feature or a product_id.")
    return Question(account_id, feature, product_id)


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """Whether an account may use a feature or product. True where it may."""

    account_id: str
    feature: str | None
    product_id: str | None
    entitled: bool
    source: Source
    #: Why it is entitled. Unspecified where it is not: `check_entitlement` of a
    #: client tells why not.
    reason: EntitlementReason
    #: Units paid for; 0 where it is not entitled.
    quantity: int
    #: Until when time alone changes nothing; None where it never does.
    valid_until_time: datetime | None
    #: Seconds since the service last vouched for it; None for a fallback.
    age: float | None

    def __bool__(self) -> bool:
        return self.entitled


class CacheObserver:
    """Is told what a cache does, to count it. Must neither block nor raise.

    Inherit from it and define what you want to hear of. A `BlockingEntitlementCache`
    calls it from several threads.
    """

    def on_check(self, source: Source, *, entitled: bool) -> None:
        """Hear of an answer. Called on the hot path."""

    def on_state(self, state: CacheState) -> None:
        """Hear that the state is another one now."""

    def on_message(self, kind: str) -> None:
        """Hear of a message: `account`, `reset`, `goodbye` or `heartbeat`."""

    def on_error(self, operation: str, error: Exception) -> None:
        """Hear that `watch`, `load` or `save` failed. Each is done again by itself."""
