"""Emulator, gateway, service and storefront as real processes that know each other."""

import secrets
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from demo.emulator import Emulator
from demo.processes import Process, ProcessFailed, run

#: Made up; only the emulator accepts them.
API_KEY = "sk_test_paidup_demo_not_a_real_key"
PUBLISHABLE_KEY = "pk_test_paidup_demo_not_a_real_key"
ANY_PORT = "0"
ROOT = Path(__file__).parent.parent
CATALOG = ROOT / "catalog.toml"


@dataclass(frozen=True, kw_only=True, slots=True)
class Addresses:
    """Where the processes listen; port 0 means any that is free."""

    emulator: str = "127.0.0.1:0"
    gateway: str = "127.0.0.1:0"
    grpc: str = "127.0.0.1:0"
    metrics: str = "127.0.0.1:0"
    #: None: without a storefront.
    storefront: str | None = None


@dataclass
class Stack:
    """The whole system. Use it with `async with`; leaving ends every process."""

    database_url: str
    addresses: Addresses = field(default_factory=Addresses)
    #: More settings for gateway and service.
    settings: Mapping[str, str] = field(default_factory=dict)
    catalog: Path | None = CATALOG
    #: Processes of the service, where there are to be several.
    workers: int = 1
    #: Every line that any process wrote.
    log: list[str] = field(default_factory=list)
    secret: str = field(default_factory=lambda: f"whsec_{secrets.token_hex(16)}")

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
        # The emulator must know where to deliver before the gateway is there.
        self.addresses = replace(
            self.addresses,
            gateway=settled(self.addresses.gateway),
            metrics=settled(self.addresses.metrics),
        )
        self.emulator_process = await self._run_emulator()
        self.emulator = Emulator(self.emulator_process.address)
        self._exit.push_async_callback(self.emulator.close)
        await run(["billing_service", "migrate"], self.env)
        self.gateway = await self.start_gateway()
        if self.catalog is not None:
            await run(["billing_service", "catalog", "apply", str(self.catalog), "--yes"], self.env)
        self.service = await self.start_service()
        self.storefront: Process | None = None
        if self.addresses.storefront is not None:
            self.storefront = await self.start_storefront(self.addresses.storefront)
            self.addresses = replace(self.addresses, storefront=self.storefront.address)

    @property
    def metrics_address(self) -> str:
        return self.addresses.metrics

    @property
    def env(self) -> dict[str, str]:
        """The settings that gateway and service are started with."""
        return {
            "PAIDUP_DATABASE_URL": self.database_url,
            "PAIDUP_GRPC_LISTEN": self.addresses.grpc,
            "PAIDUP_METRICS_LISTEN": self.addresses.metrics,
            "PAIDUP_GATEWAY_LISTEN": self.addresses.gateway,
            "PAIDUP_STRIPE_API_KEY": API_KEY,
            "PAIDUP_STRIPE_PUBLISHABLE_KEY": PUBLISHABLE_KEY,
            "PAIDUP_STRIPE_API_BASE": f"http://{self.emulator_process.address}",
            "PAIDUP_WEBHOOK_SECRETS": self.secret,
            **self.settings,
        }

    async def start_gateway(self) -> Process:
        return await self._start_process("webhook_gateway", ["webhook_gateway"])

    async def start_service(self) -> Process:
        shared = ["--workers", str(self.workers)] if self.workers > 1 else []
        return await self._start_process("billing_service", ["billing_service", "serve", *shared])

    async def start_storefront(self, listen: str, **settings: str) -> Process:
        env = {
            "STOREFRONT_LISTEN": listen,
            "STOREFRONT_BILLING": self.service.address,
            "STOREFRONT_CATALOG": str(self.catalog),
            "STOREFRONT_STRIPE_JS": f"{self.emulator.url}/dahlia/stripe.js",
            **settings,
        }
        return await self._run("storefront", [], env)

    async def _run_emulator(self) -> Process:
        arguments = ["--listen", self.addresses.emulator, "--webhook-secret", self.secret]
        webhook = f"http://{self.addresses.gateway}/webhooks/stripe"
        return await self._run("stripe_emulator", [*arguments, "--webhook", webhook], {})

    async def _start_process(self, name: str, arguments: list[str]) -> Process:
        return await self._run(name, arguments[1:], self.env)

    async def _run(self, name: str, arguments: list[str], env: Mapping[str, str]) -> Process:
        process = await Process.start(name, [name, *arguments], env, log=self.log)
        self._exit.push_async_callback(process.stop)
        return process

    def raise_dead(self) -> None:
        """Raise `ProcessFailed` where a process has ended by itself."""
        for process in (self.emulator_process, self.gateway, self.service, self.storefront):
            if process is not None and not process.alive:
                raise process.failure()


def settled(address: str) -> str:
    """Turn port 0 into a free port's number."""
    host, _, port = address.rpartition(":")
    if port != ANY_PORT:
        return address
    with socket.socket() as probe:
        probe.bind((host, 0))
        return f"{host}:{probe.getsockname()[1]}"


def check_free(addresses: Mapping[str, str]) -> None:
    """Raise `ProcessFailed` that names each port in use and how to choose another."""
    taken = [
        f"{address} is in use: choose another with {variable}."
        for variable, address in addresses.items()
        if not _is_free(address)
    ]
    if taken:
        raise ProcessFailed("\n".join(taken))


def _is_free(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError:
            return False
    return True
