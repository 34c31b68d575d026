"""What a cache remembers, and whether that may be used. No I/O in here.

Three rules make its answers right:

1. What the stream tells replaces what is held, in the order of the stream. What is
   held was whole when the newest heartbeat was sent, or the newest change that moved
   the revision on.
2. What is asked for must be at least as fresh as the stream's position when it is
   asked for, so it lacks nothing that the stream has told already; all later changes
   are still to come. What the stream tells meanwhile is newer, and stays.
3. Time: nothing is used past `valid_until_time`, by the service's clock.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf

from paidup._cache_settings import CacheSettings
from paidup._decision import CacheState, Decision, Question, Source
from paidup._held import Accounts, Held, Right, held_of, seconds
from paidup._server_time import Clock, ServerTime
from paidup.v1.billing_service_pb2 import WatchEntitlementsRequest, WatchEntitlementsResponse
from paidup.v1.entitlement_pb2 import Entitlement, EntitlementReason

_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(slots=True)
class Load:
    """An account that is being asked for."""

    account_id: str
    begun: float
    #: The stream's position: the answer must reflect it. Empty while there is none.
    at_least_revision: str
    history: int
    #: Whether the stream has told of the account meanwhile.
    overtaken: bool = False


class Memory:
    """Accounts as the stream and RPCs told of them. Readers need no lock."""

    def __init__(self, settings: CacheSettings, clock: Clock) -> None:
        self.accounts = Accounts(most=settings.max_accounts)
        self.time = ServerTime(clock)
        #: Monotonic; until when what is watched may be used.
        self.fresh_until = -inf
        self._settings = settings
        self._now = clock.monotonic
        self._as_of = -inf
        self._position = ""
        #: Goes up whenever changes were missed.
        self._history = 0
        self._heard = self._was_ready = self._caught_up = self._unwatched = False
        self._progress = inf
        self._loads: dict[str, Load] = {}
        self._writing = threading.RLock()

    # What the stream tells.

    def begin_stream(self) -> WatchEntitlementsRequest:
        """Return what to ask for, at once."""
        with self._writing:
            self.time.begin()
            self._progress = self._now()
            self._caught_up = False
            return WatchEntitlementsRequest(
                account_ids=sorted(self._settings.accounts or ()), resume_revision=self._position
            )

    def take(self, message: WatchEntitlementsResponse) -> str:
        """Take in the stream's next message; return its kind."""
        kind = message.WhichOneof("kind") or "heartbeat"
        with self._writing:
            sent = self._sent(message)
            moved_on = message.revision not in {"", self._position}
            self._take_of_kind[kind](self, message)
            self._position = message.revision or self._position
            self._progress = max(self._progress, sent)
            # Of changes that belong together only the last moves the revision on.
            if kind == "heartbeat" or moved_on:
                self._vouched(sent)
        return kind

    def caught_up(self) -> bool:
        """Tell whether the stream has come to the present."""
        return self._caught_up

    def is_stalled(self) -> bool:
        """Tell whether a stream is open and has not been heard for too long."""
        return self._now() >= self._progress + self._settings.max_staleness

    def end_stream(self) -> None:
        self._progress = inf

    def forget(self) -> None:
        """Drop everything: changes were missed."""
        with self._writing:
            self.fresh_until = -inf
            self._as_of = -inf
            self._history += 1
            self._position = ""
            self._caught_up = False
            self.accounts.clear()

    def resumes(self) -> bool:
        """Tell whether the next stream goes on from a revision."""
        return bool(self._position)

    def cannot_watch(self) -> None:
        """Note that the service has no stream."""
        self._unwatched = True

    def _sent(self, message: WatchEntitlementsResponse) -> float:
        self._unwatched = False
        if not message.HasField("send_time"):
            return -inf
        self._heard = True
        return self.time.sent(seconds(message.send_time), self._now())

    def _account(self, message: WatchEntitlementsResponse) -> None:
        account_id = message.account.account_id
        load = self._loads.get(account_id)
        if load is not None:
            load.overtaken = True
        if load is None and not self._is_wanted(account_id):
            return
        held = held_of(message.account.entitlements)
        held.watched = True
        self.accounts.put(account_id, held)

    def _reset(self, _message: WatchEntitlementsResponse) -> None:
        self.forget()

    def _heartbeat(self, _message: WatchEntitlementsResponse) -> None:
        self._caught_up = True

    def _goodbye(self, _message: WatchEntitlementsResponse) -> None:
        """Whoever reads the stream ends it."""

    _take_of_kind = {  # noqa: RUF012 - never changed
        "account": _account,
        "reset": _reset,
        "heartbeat": _heartbeat,
        "goodbye": _goodbye,
    }

    def _vouched(self, sent: float) -> None:
        # Before the first heartbeat, older changes may still be on their way.
        if self._caught_up and sent > self._as_of:
            self._as_of = sent
            self.fresh_until = sent + self._settings.max_staleness
            self._was_ready = True

    def _is_wanted(self, account_id: str) -> bool:
        named = self._settings.accounts
        return account_id in self.accounts.by_id or (named is not None and account_id in named)

    # What is asked for.

    def begin_load(self, account_id: str) -> Load:
        with self._writing:
            load = Load(account_id, self._now(), self._position, self._history)
            self._loads[account_id] = load
            return load

    def finish_load(self, load: Load, entitlements: Iterable[Entitlement]) -> Held:
        """Remember the answer, unless the stream has told a newer one. Return the answer."""
        held = held_of(entitlements)
        with self._writing:
            self.abandon_load(load)
            if load.overtaken:
                return held
            if not self._heard:
                self.time.ask_wall_clock()
            held.as_of = load.begun
            held.fresh_until = load.begun + self._settings.max_staleness
            held.watched = self._will_be_told(load)
            held.asked = True
            self.accounts.put(load.account_id, held)
        return held

    def abandon_load(self, load: Load) -> None:
        self._loads.pop(load.account_id, None)

    def _will_be_told(self, load: Load) -> bool:
        """Tell whether the stream will tell of every change after the answer."""
        named = self._settings.accounts
        followed = named is None or load.account_id in named
        return followed and bool(load.at_least_revision) and load.history == self._history

    def remember(self, account_id: str, held: Held) -> None:
        """Take in what an earlier process knew."""
        with self._writing:
            if account_id not in self.accounts.by_id:
                self.accounts.put(account_id, held)

    # What is answered.

    def state(self) -> CacheState:
        if self._now() < self.fresh_until:
            return CacheState.READY
        if self._unwatched:
            return CacheState.UNWATCHED
        return CacheState.STALE if self._was_ready else CacheState.CONNECTING

    def is_fresh(self, held: Held) -> bool:
        now = self._now()
        return now < held.fresh_until or (held.watched and now < self.fresh_until)

    def age(self, held: Held) -> float:
        as_of = max(held.as_of, self._as_of) if held.watched else held.as_of
        return self._now() - as_of

    def decide(self, asked: Question) -> Decision | None:
        """Decide from what is fresh; None where that does not say."""
        held = self.accounts.by_id.get(asked.account_id)
        if held is None or not self.is_fresh(held):
            return None
        held.asked = True
        right = held.right(asked)
        if right is not None and self._has_ended(right):
            return None
        return self._decision(asked, held, right, Source.MEMORY)

    def answered(self, asked: Question, held: Held) -> Decision:
        """Pass on what the service has just decided, by its own clock."""
        return self._decision(asked, held, held.right(asked), Source.RPC)

    def last_known(self, asked: Question) -> Decision | None:
        """Decide from what is no longer fresh; None where that is unknown or too old."""
        held = self.accounts.by_id.get(asked.account_id)
        if held is None:
            return None
        right = held.right(asked)
        # What has ended does not begin again because nobody can be asked, however old it is.
        if right is not None and self._has_ended(right):
            return self._decision(asked, held, None, Source.LAST_KNOWN_GOOD)
        if self.age(held) > self._settings.last_known_good_max_age:
            return None
        return self._decision(asked, held, right, Source.LAST_KNOWN_GOOD)

    def _has_ended(self, right: Right) -> bool:
        return self._now() + self.time.ahead >= right.until

    def _decision(
        self, asked: Question, held: Held, right: Right | None, source: Source
    ) -> Decision:
        return Decision(
            account_id=asked.account_id,
            feature=asked.feature,
            product_id=asked.product_id,
            entitled=right is not None,
            source=source,
            reason=_reason(right),
            quantity=right.quantity if right is not None else 0,
            valid_until_time=_moment(right),
            age=self.age(held),
        )


def _reason(right: Right | None) -> EntitlementReason:
    return right.reason if right is not None else EntitlementReason.ENTITLEMENT_REASON_UNSPECIFIED


def _moment(right: Right | None) -> datetime | None:
    if right is None or right.until == inf:
        return None
    return _EPOCH + timedelta(seconds=right.until)
