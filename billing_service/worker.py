"""One place among several processes that serve at one port, and the process that has it now."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from billing_service import metrics

log = logging.getLogger(__name__)

#: Seconds before a process that ended is started again; doubled while it ends soon again.
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
#: Exit codes of a process that would fail again: a person has to mend something, or a setting.
REFUSED = 4
FOR_PEOPLE = frozenset({2, REFUSED})


class WorkerFailed(Exception):
    """A worker cannot work, or did not leave in order; it has said why."""


class Worker:
    """Keeps one process running, until it is told to leave."""

    def __init__(self, number: int, folder: Path, shared: Mapping[str, str]) -> None:
        """Build it; `shared` are the addresses that all serve at, by the settings' names."""
        self.number = number
        self._folder = folder
        self._shared = shared
        self._process: asyncio.subprocess.Process | None = None
        self._starts = 0
        self._leaving = asyncio.Event()
        self.listening = asyncio.Event()

    @property
    def socket(self) -> Path:
        """Where the process answers whoever speaks for it; each has its own."""
        return self._folder / f"{self.number}-{self._starts}"

    async def keep(self) -> None:
        """Start it again whenever it ends; raise `WorkerFailed` where that is of no use."""
        clock = asyncio.get_running_loop().time
        pause = FIRST_PAUSE
        while True:
            began = clock()
            code = await self._run()
            if self._leaving.is_set():
                return _see_in_order(code)
            if code in FOR_PEOPLE:
                raise WorkerFailed("A worker cannot work; it has said why.")
            pause = FIRST_PAUSE if clock() - began > LONGEST_PAUSE else pause
            facts = {"worker": self.number, "exit_code": code, "next_in_seconds": pause}
            log.warning("worker_ended", extra=facts)
            if await self._left_within(pause):
                return None
            pause = min(pause * 2, LONGEST_PAUSE)
            metrics.WORKER_RESTARTS.inc()

    def leave(self) -> None:
        """Have the process end in order, and not start again; told once more, it hurries."""
        self._leaving.set()
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    async def _run(self) -> int:
        """Run one process until it ends; give its exit code, negative for a signal's number."""
        self._starts += 1
        process = self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "billing_service", "worker", str(self.socket)),
            env={**os.environ, **self._shared},
            # It ends when we do, however we go: nobody else has the other end.
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # Ctrl-C goes to us alone; we end it in order.
            start_new_session=True,
        )
        if self._leaving.is_set():
            self.leave()
        if process.stdout is not None and await process.stdout.readline():
            self.listening.set()
        try:
            return await process.wait()
        finally:
            self.listening.clear()

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _left_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._leaving.wait()
        return self._leaving.is_set()


def _see_in_order(code: int) -> None:
    # One that was told to leave before it could listen to that ends by the signal.
    if code not in {0, -signal.SIGTERM}:
        raise WorkerFailed(f"A worker that was told to leave ended with {code}.")
