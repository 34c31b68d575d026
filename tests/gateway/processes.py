"""The gateway as a process of its own."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.gateway.clients import SECRET

READY = "webhook_gateway listening on "


class GatewayProcess:
    """One run of `python -m webhook_gateway`."""

    def __init__(self, log: Path, environment: Mapping[str, str]) -> None:
        self._log = log
        with log.open("ab") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "webhook_gateway"],
                env=_environment(environment),
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )

    async def url(self) -> str:
        """Wait until it listens, and tell where."""
        line = await asyncio.to_thread(self._process.stdout.readline)
        assert line.startswith(READY), self.log
        return line.removeprefix(READY).rstrip("\n")

    @property
    def log(self) -> str:
        return self._log.read_text()

    def terminate(self, by: signal.Signals = signal.SIGTERM) -> None:
        self._process.send_signal(by)

    async def kill(self) -> None:
        self._process.kill()
        await self.ended()

    async def ended(self) -> int:
        """Wait for its end; give the exit code."""
        return await asyncio.to_thread(self._process.wait, 30)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._process.stdout.close()


@contextmanager
def a_process(directory: Path, **settings: str) -> Iterator[GatewayProcess]:
    """Start a gateway on a free port; settings are named as variables, without `PAIDUP_`."""
    environment = {"GATEWAY_LISTEN": "127.0.0.1:0", "WEBHOOK_SECRETS": SECRET, **settings}
    process = GatewayProcess(directory / "gateway.log", environment)
    try:
        yield process
    finally:
        process.close()


def run_to_its_end(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a gateway that is not expected to serve."""
    return subprocess.run(
        [sys.executable, "-m", "webhook_gateway", *arguments],
        env=_environment(settings),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("PAIDUP_")}
    ours = {f"PAIDUP_{name}": value for name, value in settings.items() if value}
    return {**others, **ours, "COLUMNS": "100"}
