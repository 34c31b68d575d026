"""What is deployed: two gateways, two services, PostgreSQL, and Stripe's emulator."""

import asyncio
import secrets
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from demo.emulator import Emulator
from demo.postgres import Postgres, a_postgres
from demo.processes import Process, run
from demo.stack import API_KEY, CATALOG, PUBLISHABLE_KEY, settled
from soak.balancer import Balancer

GATEWAYS = ("gateway 1", "gateway 2")
SERVICES = ("service 1", "service 2")

MODULES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(GATEWAYS, ("webhook_gateway",)),
    **dict.fromkeys(SERVICES, ("billing_service", "serve")),
}


@dataclass
class Fleet:
    """All processes. Use it with `async with`; leaving ends every one."""

    #: More settings for gateways and services.
    settings: Mapping[str, str] = field(default_factory=dict)
    #: What Stripe signs its webhooks with.
    secret: str = field(default_factory=lambda: f"whsec_{secrets.token_hex(16)}")
    #: Every line that any process wrote.
    log: list[str] = field(default_factory=list)
    processes: dict[str, Process] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        self._exit = AsyncExitStack()
        try:
            await self._start()
        except BaseException:
            await self._exit.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._exit.aclose()

    async def _start(self) -> None:
        self.postgres: Postgres = self._exit.enter_context(a_postgres())
        self.database_url = self.postgres.url(await self.postgres.create())
        self._listens = {name: settled("127.0.0.1:0") for name in MODULES}
        gateways = [self._listens[name] for name in GATEWAYS]
        balancer = await self._exit.enter_async_context(Balancer(gateways))
        self.webhook = f"http://{balancer.address}/webhooks/stripe"
        await self._start_emulator(self.webhook)
        self._exit.push_async_callback(self._stop)
        await run(["billing_service", "migrate"], self._env(SERVICES[0]))
        await run(
            ["billing_service", "catalog", "apply", str(CATALOG), "--yes"], self._env(SERVICES[0])
        )
        await asyncio.gather(*(self.start(name) for name in MODULES))

    async def _start_emulator(self, webhook: str) -> None:
        arguments = ["--listen", "127.0.0.1:0", "--webhook", webhook]
        self.stripe = await Process.start(
            "stripe_emulator",
            ["stripe_emulator", *arguments, "--webhook-secret", self.secret],
            {},
            log=self.log,
        )
        self._exit.push_async_callback(self.stripe.stop)
        self.emulator = Emulator(self.stripe.address)
        self._exit.push_async_callback(self.emulator.close)

    def _env(self, name: str) -> dict[str, str]:
        return {
            "PAIDUP_DATABASE_URL": self.database_url,
            "PAIDUP_GRPC_LISTEN": self._listens[name],
            "PAIDUP_METRICS_LISTEN": "127.0.0.1:0",
            "PAIDUP_GATEWAY_LISTEN": self._listens[name],
            "PAIDUP_STRIPE_API_KEY": API_KEY,
            "PAIDUP_STRIPE_PUBLISHABLE_KEY": PUBLISHABLE_KEY,
            "PAIDUP_STRIPE_API_BASE": self.emulator.url,
            "PAIDUP_PORTAL_RETURN_URL": "http://localhost:4242/account",
            "PAIDUP_WEBHOOK_SECRETS": self.secret,
            **self.settings,
        }

    @property
    def services(self) -> str:
        """Both services, as a gRPC target."""
        return "ipv4:" + ",".join(self._listens[name] for name in SERVICES)

    async def start(self, name: str) -> None:
        self.processes[name] = await Process.start(
            name, MODULES[name], self._env(name), log=self.log
        )

    async def replace(self, name: str) -> int:
        """End it in order and start it again at its place, as a rollout; give its exit code."""
        code = await self.processes[name].stop()
        await self.start(name)
        return code

    async def kill(self, name: str) -> None:
        await self.processes[name].kill()

    async def _stop(self) -> None:
        await asyncio.gather(*(process.stop() for process in self.processes.values()))

    async def crash_database(self) -> None:
        """Let PostgreSQL crash, and start it again."""
        await asyncio.to_thread(self.postgres.crash)
        await asyncio.to_thread(self.postgres.start)
