"""A database that tells whether anybody is using it, and how often it was written to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from subscription_state.database import Database


class Watched:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._using = 0
        self.writes = 0

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Any]:
        with self._use():
            async with self._database.read() as connection:
                yield connection

    async def write(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        self.writes += 1
        with self._use():
            return await self._database.write(work)

    @contextmanager
    def _use(self) -> Iterator[None]:
        self._using += 1
        try:
            yield
        finally:
            self._using -= 1

    async def end(self, *tasks: "asyncio.Task[Any]") -> None:
        """Cancel tasks while none of them uses the database: drivers tear down what is cut off."""
        while self._using:
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
