"""The cache for asyncio."""

import asyncio
from types import TracebackType
from typing import Any, Self

import grpc

from paidup._base_cache import CLOSED, BaseCache, StreamLost, is_the_callers
from paidup._client import BillingClient
from paidup._decision import Decision, Question, question
from paidup._errors import PaidupError, from_grpc
from paidup._held import Held


class EntitlementCache(BaseCache[BillingClient]):
    """Answers checks from memory, which it keeps true by following the service.

    `async with` opens and closes it; opening does not wait for the service.
    """

    _loop: asyncio.AbstractEventLoop
    _client: BillingClient
    _ready: asyncio.Event

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._client = BillingClient(self._given) if isinstance(self._given, str) else self._given
        self._ready = asyncio.Event()
        self._loads: dict[str, asyncio.Task[Held]] = {}
        self._reading: asyncio.Task[float | None] | None = None
        await asyncio.to_thread(self._restore)
        self._open = True
        self._tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(self._follow()),
            asyncio.create_task(self._tick()),
        ]
        return self

    async def __aexit__(
        self,
        error_class: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End following, and save what is known. A client that was given stays open."""
        if not self._open:
            return
        self._open = False
        tasks = [*self._tasks, *self._loads.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(self._save)
        if isinstance(self._given, str):
            await self._client.close()

    async def wait_until_ready(self, *, timeout: float = 10.0) -> None:  # noqa: ASYNC109 - as calls
        """Wait, at start-up for example, until memory can be used or is known to be no use.

        Raises `Unavailable` after `timeout` seconds. The cache goes on trying.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._ready.wait()
        except TimeoutError as error:
            raise self._not_ready(timeout) from error

    async def check(
        self, account_id: str, *, feature: str | None = None, product_id: str | None = None
    ) -> Decision:
        """Decide from memory, or else ask the service.

        Raises InvalidRequest for what can be no account's id. When the service does
        not answer, the decision is the last known good one or what the settings say.
        """
        asked = question(account_id, feature, product_id)
        decision = self._memory.decide(asked)
        if decision is None:
            decision = await self._ask(asked)
        return self._told(decision)

    # RPCs.

    async def _ask(self, asked: Question) -> Decision:
        if not self._open:
            raise RuntimeError(CLOSED)
        if not self._breaker.allows():
            return self._without_service(asked)
        try:
            # Whoever gives up leaves the answer to the others who wait for it.
            held = await asyncio.shield(self._loading(asked.account_id))
        except PaidupError as error:
            if is_the_callers(error):
                raise
            return self._without_service(asked)
        return self._memory.answered(asked, held)

    def _loading(self, account_id: str) -> asyncio.Task[Held]:
        """Return the one load of the account that is under way."""
        task = self._loads.get(account_id)
        if task is None:
            task = asyncio.create_task(self._load(account_id))
            self._loads[account_id] = task
            task.add_done_callback(lambda done: self._loaded(account_id, done))
        return task

    def _loaded(self, account_id: str, done: asyncio.Task[Held]) -> None:
        self._loads.pop(account_id, None)
        self._wanted.discard(account_id)
        if not done.cancelled():
            done.exception()  # has been told; perhaps nobody waits for it

    async def _load(self, account_id: str) -> Held:
        load = self._memory.begin_load(account_id)
        try:
            response = await self._client.list_entitlements(
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
        self._loop.call_soon_threadsafe(self._loading, account_id)

    # The stream.

    async def _follow(self) -> None:
        while True:
            delay = await self._watch()
            await asyncio.sleep(delay)

    async def _watch(self) -> float:
        """Follow one stream to its end; return how long to wait before the next."""
        self._reading = asyncio.create_task(self._read())
        try:
            await asyncio.wait({self._reading})
        finally:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        error = StreamLost() if self._reading.cancelled() else self._reading.exception()
        delay = self._reading.result() if error is None else None
        if delay is not None:
            return self._said_goodbye(delay)
        return self._stream_ended(error if isinstance(error, Exception) else None)

    async def _read(self) -> float | None:
        """Read a stream to its end; return what its goodbye asked for."""
        with self._client._watching(self._memory.begin_stream) as call:  # noqa: SLF001 - of one package
            try:
                async for message in call:
                    delay = self._take(message)
                    if delay is not None:
                        return delay
            except grpc.aio.AioRpcError as failed:
                raise from_grpc(failed) from failed
        return None

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._pace.tick)
            self._tell_state()
            if self._memory.is_stalled() and self._reading is not None:
                self._reading.cancel()
            if self._is_save_due():
                await asyncio.to_thread(self._save)
