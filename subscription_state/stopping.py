"""How a process is told to stop: once in order, and once more by whoever is in a hurry."""

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any


class Stopping:
    """What the signals said; whoever stops asks here how much time is left."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.hurried = asyncio.Event()

    def on_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.ask)

    def ask(self) -> None:
        """Ask for a stop; asked again, for a quick one."""
        if self.asked.is_set():
            self.hurried.set()
        self.asked.set()

    async def pause(self, seconds: float) -> None:
        """Let some time pass, unless there is a hurry."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.hurried.wait()

    async def within(
        self, seconds: float, work: Coroutine[Any, Any, object], *, hurried: float
    ) -> bool:
        """Give work so long to end, and so much less once there is a hurry; tell whether it did.

        Work that did not end is cancelled. What it raises is raised.
        """
        working = asyncio.ensure_future(work)
        hurry = asyncio.ensure_future(self.hurried.wait())
        await asyncio.wait({working, hurry}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if hurry.done() and not working.done():
            await asyncio.wait({working}, timeout=hurried)
        hurry.cancel()
        if not working.done():
            working.cancel()
            return False
        await working
        return True
