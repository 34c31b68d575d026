"""The cache for code without asyncio."""

import queue
import threading
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self

import grpc

from paidup._base_cache import CLOSED, BaseCache, is_the_callers
from paidup._blocking_client import BlockingBillingClient
from paidup._decision import Decision, Question, question
from paidup._errors import PaidupError, from_grpc
from paidup._held import Held


class BlockingEntitlementCache(BaseCache[BlockingBillingClient]):
    """Answers checks from memory, which it keeps true by following the service.

    `with` opens and closes it; opening does not wait for the service. Threads share
    one. Two threads of its own follow and ask; make it after forking, not before: a
    child has no such threads, and finds what it inherited stale.
    """

    _client: BlockingBillingClient
    _ready: threading.Event

    def __enter__(self) -> Self:
        given = self._given
        self._client = BlockingBillingClient(given) if isinstance(given, str) else given
        self._ready = threading.Event()
        self._closing = threading.Event()
        self._call: Any = None
        self._loads: dict[str, Future[Held]] = {}
        self._loading = threading.Lock()
        self._to_fetch: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._restore()
        self._open = True
        self._threads = [
            threading.Thread(target=work, name=f"paidup-{name}", daemon=True)
            for name, work in {"follow": self._follow, "ask": self._work}.items()
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        error_class: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End following, and save what is known. A client that was given stays open."""
        if not self._open:
            return
        self._open = False
        self._closing.set()
        self._to_fetch.put(None)
        self._cut()
        for thread in self._threads:
            thread.join()
        self._save()
        if isinstance(self._given, str):
            self._client.close()

    def wait_until_ready(self, *, timeout: float = 10.0) -> None:
        """Wait, at start-up for example, until memory can be used or is known to be no use.

        Raises `Unavailable` after `timeout` seconds. The cache goes on trying.
        """
        if not self._ready.wait(timeout):
            raise self._not_ready(timeout)

    def check(
        self, account_id: str, *, feature: str | None = None, product_id: str | None = None
    ) -> Decision:
        """Decide from memory, or else ask the service.

        Raises InvalidRequest for what can be no account's id. When the service does
        not answer, the decision is the last known good one or what the settings say.
        """
        asked = question(account_id, feature, product_id)
        decision = self._memory.decide(asked)
        if decision is None:
            decision = self._ask(asked)
        return self._told(decision)

    # RPCs.

    def _ask(self, asked: Question) -> Decision:
        if not self._open:
            raise RuntimeError(CLOSED)
        if not self._breaker.allows():
            return self._without_service(asked)
        try:
            held = self._held(asked.account_id)
        except PaidupError as error:
            if is_the_callers(error):
                raise
            return self._without_service(asked)
        return self._memory.answered(asked, held)

    def _held(self, account_id: str) -> Held:
        """Load the account, or wait for the one load of it that is under way."""
        with self._loading:
            under_way = self._loads.get(account_id)
            future = under_way or self._loads.setdefault(account_id, Future())
        if under_way is None:
            self._load_into(future, account_id)
        return future.result()

    def _load_into(self, future: Future[Held], account_id: str) -> None:
        try:
            future.set_result(self._load(account_id))
        except BaseException as error:  # noqa: BLE001 - whoever waits is told, this caller too
            future.set_exception(error)
        finally:
            with self._loading:
                self._loads.pop(account_id, None)
            self._wanted.discard(account_id)

    def _load(self, account_id: str) -> Held:
        load = self._memory.begin_load(account_id)
        try:
            response = self._client.list_entitlements(
                account_id=account_id,
                at_least_revision=load.at_least_revision or None,
                timeout=self._settings.rpc_timeout,
            )
        except PaidupError as error:
            self._load_failed(load, error)
            raise
        except BaseException:
            self._memory.abandon_load(load)
            raise
        self._breaker.succeeded()
        return self._memory.finish_load(load, response.entitlements)

    def _fetch(self, account_id: str) -> None:
        self._to_fetch.put(account_id)

    def _work(self) -> None:
        while not self._closing.is_set():
            try:
                account_id = self._to_fetch.get(timeout=self._pace.tick)
            except queue.Empty:
                account_id = None
            if account_id is not None:
                self._fetch_now(account_id)
            self._tick()

    def _fetch_now(self, account_id: str) -> None:
        try:
            self._held(account_id)
        except (PaidupError, RuntimeError, ValueError) as error:
            # Told already, unless nothing was sent: a closed client, an unusable token.
            if not isinstance(error, PaidupError):
                self._tell_error("load", error)

    def _tick(self) -> None:
        self._tell_state()
        if self._memory.is_stalled():
            self._cut()
        if self._is_save_due():
            self._save()

    # The stream.

    def _follow(self) -> None:
        while not self._closing.is_set():
            self._closing.wait(self._watch())

    def _watch(self) -> float:
        """Follow one stream to its end; return how long to wait before the next."""
        try:
            delay = self._read()
        except Exception as error:  # noqa: BLE001 - it is told, and followed again
            return 0 if self._closing.is_set() else self._stream_ended(error)
        return self._stream_ended(None) if delay is None else self._said_goodbye(delay)

    def _read(self) -> float | None:
        """Read a stream to its end; return what its goodbye asked for."""
        with self._client._watching(self._memory.begin_stream) as call:  # noqa: SLF001 - of one package
            self._call = call
            if self._closing.is_set():
                return None
            try:
                for message in call:
                    delay = self._take(message)
                    if delay is not None:
                        return delay
            except grpc.RpcError as failed:
                raise from_grpc(failed) from failed
        return None

    def _cut(self) -> None:
        if self._call is not None:
            self._call.cancel()
