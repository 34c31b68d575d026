"""What both caches have in common: all but how they wait."""

import asyncio
import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Generic, TypeVar

from grpc import StatusCode

from paidup import _last_known_good
from paidup._attempts import Backoff, Breaker
from paidup._blocking_client import BlockingBillingClient
from paidup._cache_settings import CacheSettings, Pace, named
from paidup._client import BillingClient
from paidup._decision import CacheObserver, CacheState, Decision, Question, Source, question
from paidup._errors import InvalidRequest, PaidupError, Unavailable
from paidup._last_known_good import UnusableFile
from paidup._memory import Load, Memory
from paidup._server_time import Clock
from paidup.v1.billing_service_pb2 import WatchEntitlementsResponse
from paidup.v1.entitlement_pb2 import EntitlementReason
from paidup.v1.error_reason_pb2 import ERROR_REASON_INVALID_REQUEST

log = logging.getLogger("paidup.cache")

CLOSED = "The cache is closed, or not open yet."

#: Accounts that are asked for in the background at a time; others wait to be asked about again.
MOST_WANTED = 100


ClientT = TypeVar("ClientT", BillingClient, BlockingBillingClient)


class StreamLost(Exception):
    """Nothing was heard of the service for too long, not even a heartbeat."""


class BaseCache(ABC, Generic[ClientT]):
    """Settings, memory, and the checks that do not wait."""

    _ready: asyncio.Event | threading.Event

    def __init__(
        self,
        client: ClientT | str,
        *,
        accounts: Iterable[str] | None = None,
        max_staleness: float = 15.0,
        last_known_good_max_age: float = 3600.0,
        last_known_good_path: str | Path | None = None,
        fail_open: bool = False,
        max_accounts: int = 10_000,
        rpc_timeout: float = 2.0,
        observer: CacheObserver | None = None,
        clock: Clock | None = None,
        pace: Pace | None = None,
    ) -> None:
        """Prepare to follow the service of `client`, or at an address.

        `accounts` names what to follow, at most 10,000; all of it is held at once.
        Without it, changes of all accounts are followed, and those that are asked
        about are held, at most `max_accounts`.

        Memory that the service has not vouched for since `max_staleness` seconds is
        not used; then each check asks the service, for `rpc_timeout` seconds at most.
        Where it does not answer, what was last known is used until it is
        `last_known_good_max_age` seconds old. After that nobody is entitled or, with
        `fail_open`, everybody. With `last_known_good_path`, what is known outlives
        the process.

        `observer` hears what happens. `clock` and `pace` are for tests.
        """
        path = None if last_known_good_path is None else Path(last_known_good_path)
        self._given: ClientT | str = client
        self._settings = CacheSettings(
            accounts=named(accounts),
            max_staleness=max_staleness,
            last_known_good_max_age=last_known_good_max_age,
            last_known_good_path=path,
            fail_open=fail_open,
            max_accounts=max_accounts,
            rpc_timeout=rpc_timeout,
        )
        self._clock = clock or Clock()
        self._now = self._clock.monotonic
        self._pace = pace or Pace()
        self._observer = observer
        self._memory = Memory(self._settings, self._clock)
        self._backoff = Backoff(self._pace)
        self._breaker = Breaker(self._now)
        self._wanted: set[str] = set()
        self._told_state = CacheState.CONNECTING
        self._saved_at = self._now()
        self._open = False

    @property
    def state(self) -> CacheState:
        return self._memory.state()

    def entitled(
        self, account_id: str, *, feature: str | None = None, product_id: str | None = None
    ) -> bool:
        """Say from memory, at once, whether an account may use one feature or product.

        Never waits. Where memory does not say, the answer is the last known good one
        or what the settings say, and the service is asked in the background, so that
        memory says it soon. May be called from any thread.
        """
        # What `peek` would say of what is fresh, without making what only `peek` returns.
        memory = self._memory
        held = memory.accounts.by_id.get(account_id)
        if held is None or (feature is None) is (product_id is None):
            return self.peek(account_id, feature=feature, product_id=product_id).entitled
        now = self._now()
        rights = held.features if product_id is None else held.products
        right = rights.get(feature or product_id or "")
        if now >= (memory.fresh_until if held.watched else held.fresh_until) or (
            right is not None and now + memory.time.ahead >= right.until
        ):
            return self.peek(account_id, feature=feature, product_id=product_id).entitled
        held.asked = True
        if self._observer is not None:
            self._observer.on_check(Source.MEMORY, entitled=right is not None)
        return right is not None

    def peek(
        self, account_id: str, *, feature: str | None = None, product_id: str | None = None
    ) -> Decision:
        """Do as `entitled`, and tell where the answer came from."""
        asked = question(account_id, feature, product_id)
        decision = self._memory.decide(asked)
        if decision is None:
            self._want(account_id)
            decision = self._without_service(asked)
        return self._told(decision)

    @abstractmethod
    def _fetch(self, account_id: str) -> None:
        """Have an account asked for in the background, then discard it from `_wanted`."""

    def _want(self, account_id: str) -> None:
        if not self._open or account_id in self._wanted or len(self._wanted) >= MOST_WANTED:
            return
        if self._breaker.allows():
            self._wanted.add(account_id)
            self._fetch(account_id)

    def _without_service(self, asked: Question) -> Decision:
        known = self._memory.last_known(asked)
        # A decision is false where it refuses, which is an answer too.
        return self._fallback(asked) if known is None else known

    def _fallback(self, asked: Question) -> Decision:
        return Decision(
            account_id=asked.account_id,
            feature=asked.feature,
            product_id=asked.product_id,
            entitled=self._settings.fail_open,
            source=Source.FALLBACK,
            reason=EntitlementReason.ENTITLEMENT_REASON_UNSPECIFIED,
            quantity=0,
            valid_until_time=None,
            age=None,
        )

    def _told(self, decision: Decision) -> Decision:
        if self._observer is not None:
            self._observer.on_check(decision.source, entitled=decision.entitled)
        return decision

    def _not_ready(self, timeout: float) -> Unavailable:
        return Unavailable(
            f"Entitlements could not be followed within {timeout:g} seconds.",
            code=StatusCode.UNAVAILABLE,
        )

    # RPCs.

    def _load_failed(self, load: Load, error: PaidupError) -> None:
        self._memory.abandon_load(load)
        if not is_the_callers(error):
            self._breaker.failed()
            self._tell_error("load", error)

    # The stream.

    def _take(self, message: WatchEntitlementsResponse) -> float | None:
        """Take in a message; return how long to wait if it was the last."""
        kind = self._memory.take(message)
        if self._memory.caught_up():
            self._backoff.succeeded()
        self._tell_state()
        if self._observer is not None:
            self._observer.on_message(kind)
        if kind != "goodbye":
            return None
        asked = message.goodbye.retry_delay_millis / 1000
        return min(max(asked, 0.0), self._pace.unwatched)

    def _stream_ended(self, error: Exception | None) -> float:
        """Note how a stream ended; return how long to wait before the next."""
        self._memory.end_stream()
        if error is not None:
            self._tell_error("watch", error)
        code = error.code if isinstance(error, PaidupError) else None
        if code is StatusCode.UNIMPLEMENTED:
            self._memory.cannot_watch()
            self._tell_state()
            return self._pace.unwatched
        if code is StatusCode.INVALID_ARGUMENT and self._memory.resumes():
            # Perhaps the revision to resume from; without one, all is sent anew.
            self._memory.forget()
        return self._backoff.next_delay()

    def _said_goodbye(self, delay: float) -> float:
        self._memory.end_stream()
        # One that says goodbye before it has told anything is not called without end.
        return delay if self._memory.caught_up() else max(delay, self._backoff.next_delay())

    def _tell_state(self) -> None:
        state = self._memory.state()
        if state in {CacheState.READY, CacheState.UNWATCHED}:
            self._ready.set()
        else:
            self._ready.clear()
        if state is self._told_state:
            return
        log.info("entitlement cache: %s, was %s", state, self._told_state)
        self._told_state = state
        if self._observer is not None:
            self._observer.on_state(state)

    def _tell_error(self, operation: str, error: Exception) -> None:
        # The class says enough; texts of errors may hold what is not for logs.
        log.warning("entitlement cache: %s failed: %s", operation, type(error).__name__)
        if self._observer is not None:
            self._observer.on_error(operation, error)

    # The file.

    def _restore(self) -> None:
        path, most = self._settings.last_known_good_path, self._settings.last_known_good_max_age
        if path is None:
            return
        try:
            known = _last_known_good.load(path, wall=self._clock.wall(), max_age=most)
        except UnusableFile as unusable:
            log.warning("entitlement cache: file ignored: %s", unusable)
            return
        now = self._now()
        for account_id, (held, age) in known.items():
            held.as_of = now - age
            self._memory.remember(account_id, held)

    def _is_save_due(self) -> bool:
        path = self._settings.last_known_good_path
        return path is not None and self._now() >= self._saved_at + self._pace.save

    def _save(self) -> None:
        path = self._settings.last_known_good_path
        if path is None:
            return
        self._saved_at = self._now()
        ages = {key: (held, self._memory.age(held)) for key, held in self._memory.accounts.items()}
        most = self._settings.last_known_good_max_age
        kept = {key: each for key, each in ages.items() if each[1] <= most}
        try:
            _last_known_good.save(path, kept, wall=self._clock.wall())
        except OSError as error:
            self._tell_error("save", error)


def is_the_callers(error: PaidupError) -> bool:
    """Tell whether the request was wrong, which no other answer must hide."""
    return isinstance(error, InvalidRequest) and error.reason == ERROR_REASON_INVALID_REQUEST
