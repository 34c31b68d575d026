"""Starts the project's processes, keeps their last lines, and leaves none behind."""

import asyncio
import os
import re
import signal
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

START_TIMEOUT = 30.0
STOP_TIMEOUT = 25.0
KEPT_LINES = 40

_ANNOUNCED = re.compile(r"listening on (?:http://)?(\S+)")


class ProcessFailed(Exception):
    """A process did not start, or ended by itself; the text has its last lines."""


@dataclass
class Process:
    """One running process."""

    name: str
    process: asyncio.subprocess.Process
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    log: list[str] | None = None
    address: str = ""
    _announced: asyncio.Event = field(default_factory=asyncio.Event)
    _readers: list["asyncio.Task[None]"] = field(default_factory=list)

    @classmethod
    async def start(
        cls,
        name: str,
        arguments: Sequence[str],
        env: Mapping[str, str],
        *,
        log: list[str] | None = None,
        python: Sequence[str] = (sys.executable, "-m"),
    ) -> "Process":
        """Start a module of ours and wait until it says where it listens.

        `log` is given every line that it writes; `python` is what runs modules.
        """
        started = await asyncio.create_subprocess_exec(
            *python,
            *arguments,
            env={**os.environ, **env, "PYTHONUNBUFFERED": "1"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # Ctrl-C goes to us alone; we end them in order.
            start_new_session=True,
        )
        process = cls(name=name, process=started, log=log)
        process._read()
        await process._until_announced()
        return process

    @property
    def alive(self) -> bool:
        return self.process.returncode is None

    def failure(self) -> ProcessFailed:
        tail = "\n".join(f"  {line}" for line in self.lines)
        return ProcessFailed(f"{self.name} ended with {self.process.returncode}:\n{tail}")

    async def stop(self) -> int:
        """End the process as an orchestrator would; give its exit code."""
        if self.alive:
            self.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                code = await self.process.wait()
        except TimeoutError:
            self.process.kill()
            code = await self.process.wait()
        await asyncio.gather(*self._readers)
        return code

    async def ended(self) -> int:
        """Wait until the process ends by itself; give its exit code."""
        async with asyncio.timeout(STOP_TIMEOUT):
            code = await self.process.wait()
        await asyncio.gather(*self._readers)
        return code

    async def kill(self) -> None:
        """End the process as a power cut would."""
        self.process.kill()
        await self.process.wait()
        await asyncio.gather(*self._readers)

    def _read(self) -> None:
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                self._readers.append(asyncio.create_task(self._follow(stream)))

    async def _follow(self, stream: asyncio.StreamReader) -> None:
        async for raw in stream:
            line = raw.decode(errors="replace").rstrip()
            self.lines.append(line)
            if self.log is not None:
                self.log.append(line)
            if (found := _ANNOUNCED.search(line)) and not self.address:
                self.address = found.group(1)
                self._announced.set()

    async def _until_announced(self) -> None:
        announced = asyncio.create_task(self._announced.wait())
        ended = asyncio.create_task(self.process.wait())
        done, pending = await asyncio.wait(
            {announced, ended}, timeout=START_TIMEOUT, return_when=asyncio.FIRST_COMPLETED
        )
        for task in pending:
            task.cancel()
        if announced in done:
            return
        if ended not in done:
            self.process.kill()
            await self.process.wait()
        await asyncio.gather(*self._readers)
        raise self.failure()


async def run(arguments: Sequence[str], env: Mapping[str, str]) -> str:
    """Run a command of ours to its end and give what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *arguments,
        env={**os.environ, **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    text = output.decode(errors="replace")
    if process.returncode != 0:
        tail = "\n".join(f"  {line}" for line in text.splitlines()[-KEPT_LINES:])
        raise ProcessFailed(f"{' '.join(arguments)} ended with {process.returncode}:\n{tail}")
    return text
