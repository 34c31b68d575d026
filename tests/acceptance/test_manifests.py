"""The containers of the manifests, started as processes: with their arguments, their settings and
their mounted files, only that addresses and directories are this machine's.
"""

import asyncio
import base64
import re
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

import paidup
from demo.emulator import Emulator
from demo.processes import Process, run
from demo.stack import API_KEY, CATALOG, PUBLISHABLE_KEY, settled
from tests.deploy.manifests import Json, Objects, rendered, serving
from tests.leaks import assert_nothing_leaked
from tests.service.shop import EMAIL, Shop

SIGNING_SECRET = "whsec_of_the_test"
JOB = "Job/paidup-migrate"
LONGEST_WAIT = 30
SERVED_AT = re.compile(r"0\.0\.0\.0:(\d+)")
#: What Services are called, and where they lead.
SERVICES = {"paidup-gateway": 8080, "stripe-emulator:12111": 12111}


@dataclass
class Node:
    """A machine that starts containers, in a directory of its own."""

    objects: Objects
    directory: Path
    #: The secrets that somebody made before, by name and file.
    secrets: dict[str, dict[str, str]]
    log: list[str] = field(default_factory=list)
    _addresses: dict[int, str] = field(default_factory=dict)
    _exit: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exit.aclose()

    def address(self, port: int) -> str:
        """Where a port of a container's is on this machine."""
        if port not in self._addresses:
            self._addresses[port] = settled("127.0.0.1:0")
        return self._addresses[port]

    async def start(self, name: str, owner: str | None = None, **more: str) -> Process:
        container = self.objects.container(name, owner)
        arguments, env = self._mapped(container, owner)
        # Nobody has to be told here that it leaves.
        env |= {"PAIDUP_DRAIN_SECONDS": "0", **more}
        process = await Process.start(name, arguments, env, log=self.log)
        self._exit.push_async_callback(process.stop)
        return process

    async def run(self, name: str, owner: str | None = None) -> None:
        """Run a container that comes to an end, which has to be a good one."""
        await run(*self._mapped(self.objects.container(name, owner), owner))

    def environment(self, name: str) -> dict[str, str]:
        return self._mapped(self.objects.container(name), None)[1]

    def _mapped(self, container: Json, owner: str | None) -> tuple[list[str], dict[str, str]]:
        pod = self.objects.templates[owner]["spec"] if owner else self.objects.pod
        mounts = {
            each["mountPath"]: str(self._volume(pod, each["name"]))
            for each in container.get("volumeMounts", [])
            if each["mountPath"] != "/tmp"
        }
        env = self.objects.environment(container)
        return (
            [self._here(each, mounts) for each in container["args"]],
            {name: self._here(value, mounts) for name, value in env.items()},
        )

    def _here(self, text: str, mounts: dict[str, str]) -> str:
        for path, directory in mounts.items():
            text = text.replace(path, directory)
        for service, port in SERVICES.items():
            text = text.replace(f"http://{service}", f"http://{self.address(port)}")
        return SERVED_AT.sub(lambda found: self.address(int(found.group(1))), text)

    def _volume(self, pod: Json, name: str) -> Path:
        directory = self.directory / name
        directory.mkdir(exist_ok=True)
        (volume,) = [each for each in pod["volumes"] if each["name"] == name] or [{}]
        for file, content in self._files(volume).items():
            (directory / file).write_text(content)
        return directory

    def _files(self, volume: Json) -> dict[str, str]:
        if "configMap" in volume:
            data: dict[str, str] = self.objects.one("ConfigMap", volume["configMap"]["name"])[
                "data"
            ]
            return data
        if "secret" in volume:
            return self._secret(volume["secret"]["secretName"])
        return {}

    def _secret(self, name: str) -> dict[str, str]:
        for each in self.objects.of("Secret"):
            if each["metadata"]["name"] == name:
                return {k: base64.b64decode(v).decode() for k, v in each["data"].items()}
        return self.secrets[name]

    async def probe(self, name: str, kind: str) -> int:
        """Ask what the kubelet would ask."""
        container = self.objects.container(name)
        asked = container[f"{kind}Probe"]["httpGet"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        url = f"http://{self.address(ports[asked['port']])}{asked['path']}"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.status

    async def until_ready(self) -> None:
        for container in serving(self.objects.pod):
            async with asyncio.timeout(LONGEST_WAIT):
                while await self.probe(container["name"], "readiness") != 200:
                    await asyncio.sleep(0.05)


def _keys(**more: str) -> dict[str, dict[str, str]]:
    urls = {f"paidup-database-{role}": {"url": url} for role, url in more.items()}
    return {
        # As editors leave it, with a line's end.
        "paidup-stripe": {"api-key": f"{API_KEY}\n", "publishable-key": f"{PUBLISHABLE_KEY}\n"},
        "paidup-webhook": {"signing-secrets": f"{SIGNING_SECRET}\n"},
        **urls,
    }


async def _an_emulator(node: Node) -> Emulator:
    """Start one where the manifests have none; what is started later finds it."""
    arguments = [
        f"--listen={node.address(12111)}",
        f"--webhook=http://{node.address(8080)}/webhooks/stripe",
        f"--webhook-secret={SIGNING_SECRET}",
    ]
    process = await Process.start("stripe_emulator", ["stripe_emulator", *arguments], {})
    node._exit.push_async_callback(process.stop)
    return _its_customer(node)


def _its_customer(node: Node) -> Emulator:
    emulator = Emulator(node.address(12111))
    node._exit.push_async_callback(emulator.close)
    return emulator


def _at_emulator(node: Node) -> dict[str, str]:
    return {"PAIDUP_STRIPE_API_BASE": f"http://{node.address(12111)}"}


async def _somebody_pays(node: Node, emulator: Emulator, **more: str) -> None:
    """From nothing sold to a check that is right, by webhook."""
    env = {**node.environment("service"), **more}
    await run(["billing_service", "catalog", "apply", str(CATALOG), "--yes"], env)
    async with paidup.BillingClient(node.address(50051)) as client:
        stack: Any = SimpleNamespace(emulator=emulator)
        shop = Shop(stack=stack, client=client, account="acme", email=EMAIL)
        session = await shop.checkout()
        assert not (await shop.check()).entitled
        assert (await shop.pay(session.session_id))["outcome"] == "complete"
        assert (await emulator.drain())["drained"]
        assert (await shop.until("ACTIVE")).entitled


async def test_one_pod_over_sqlite_serves(tmp_path):
    async with Node(rendered("single"), tmp_path, _keys()) as node:
        emulator = await _an_emulator(node)
        await node.run("migrate")
        gateway = await node.start("gateway")
        service = await node.start("service", **_at_emulator(node))
        await node.until_ready()

        await _somebody_pays(node, emulator, **_at_emulator(node))

        for process in (service, gateway):
            assert await process.stop() == 0
    _nothing_leaked(node)


async def test_what_is_there_to_try_serves_with_the_emulator_of_its_own(tmp_path):
    async with Node(rendered("try"), tmp_path, {}) as node:
        await node.start("emulator", "Deployment/stripe-emulator")
        await node.run("migrate")
        await node.start("gateway")
        await node.start("service")
        await node.until_ready()

        await _somebody_pays(node, _its_customer(node))


@pytest.fixture
async def urls(postgres):
    """A database, its owner and a role for each process, made as the page says."""
    name, part = await postgres.create(), uuid4().hex[:8]
    for group in ("paidup_gateway", "paidup_service"):
        await postgres.run(
            f"DO $$ BEGIN IF to_regrole('{group}') IS NULL THEN "
            f"CREATE ROLE {group} NOLOGIN; END IF; END $$"
        )
    await postgres.run(f"CREATE ROLE owner_{part} LOGIN")
    await postgres.run(f'ALTER DATABASE "{name}" OWNER TO owner_{part}')
    for process in ("gateway", "service"):
        await postgres.run(f"CREATE ROLE {process}_{part} LOGIN IN ROLE paidup_{process}")
    yield {
        role: postgres.url(name).replace("postgres@", f"{role}_{part}@", 1)
        for role in ("owner", "gateway", "service")
    }
    await postgres.drop(name)


async def test_pods_over_postgresql_wait_for_the_migration_and_then_serve(tmp_path, urls):
    async with Node(rendered("replicated"), tmp_path, _keys(**urls)) as node:
        emulator = await _an_emulator(node)
        gateway = await node.start("gateway")
        service = await node.start("service", **_at_emulator(node))
        waiting = [
            await node.probe(name, kind)
            for name in ("gateway", "service")
            for kind in ("liveness", "readiness")
        ]
        await node.run("migrate", JOB)
        await _until_refused(node)
        await node.run("roles", JOB)
        await node.until_ready()

        await _somebody_pays(node, emulator, **_at_emulator(node))

        assert waiting == [200, 503, 200, 503]
        assert gateway.alive
        assert service.alive
    _nothing_leaked(node)


async def _until_refused(node: Node) -> None:
    """Wait for the moment in which there are tables that no role may read yet."""
    async with asyncio.timeout(LONGEST_WAIT), aiohttp.ClientSession() as session:
        told = ""
        while "refuses our role" not in told:
            async with session.get(f"http://{node.address(9464)}/readyz") as response:
                told = await response.text()


def _nothing_leaked(node: Node) -> None:
    stack: Any = SimpleNamespace(log=node.log)
    assert_nothing_leaked(stack)
