"""Either cache behind one face, and an observer that remembers."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, Self, TypeAlias

from paidup import BlockingEntitlementCache, CacheObserver, CacheState, EntitlementCache, Source
from paidup._cache_settings import Pace

#: A test waits for conditions, and should not wait for pauses as well.
HASTE = Pace(first_retry=0.01, longest_retry=0.05, tick=0.01)


class AwaitableCache:
    """A blocking cache whose waiting runs in a thread each."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        self.blocking = BlockingEntitlementCache(*args, **settings)
        self.peek = self.blocking.peek
        self.entitled = self.blocking.entitled

    @property
    def state(self) -> CacheState:
        return self.blocking.state

    async def check(self, *args: Any, **subject: Any) -> Any:
        return await asyncio.to_thread(self.blocking.check, *args, **subject)

    async def wait_until_ready(self, **timeout: Any) -> None:
        await asyncio.to_thread(self.blocking.wait_until_ready, **timeout)

    async def close(self) -> None:
        await asyncio.to_thread(self.blocking.close)

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.blocking.__enter__)
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.to_thread(self.blocking.__exit__, *error)


Cache: TypeAlias = EntitlementCache | AwaitableCache

CACHES = {"asyncio": EntitlementCache, "blocking": AwaitableCache}


class Recorder(CacheObserver):
    def __init__(self) -> None:
        self.checks: Counter[tuple[Source, bool]] = Counter()
        self.states: list[CacheState] = []
        self.messages: list[str] = []
        self.errors: list[tuple[str, Exception]] = []

    def on_check(self, source: Source, *, entitled: bool) -> None:
        self.checks[source, entitled] += 1

    def on_state(self, state: CacheState) -> None:
        self.states.append(state)

    def on_message(self, kind: str) -> None:
        self.messages.append(kind)

    def on_error(self, operation: str, error: Exception) -> None:
        self.errors.append((operation, error))


async def until(condition: Callable[[], bool], *, seconds: float = 20.0) -> None:
    """Wait for what other tasks and threads bring about."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)
