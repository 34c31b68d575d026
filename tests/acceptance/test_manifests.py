"""The containers of the manifests, started as processes: with their arguments, their settings and
their mounted files, only that addresses and directories are this machine's.
"""

import asyncio
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

import paidup
from demo.emulator import Emulator
from demo.processes import Process, run
from demo.stack import CATALOG
from subscription_state import key_files
from tests.deploy.manifests import rendered
from tests.deploy.node import LONGEST_WAIT, SIGNING_SECRET, Node, keys
from tests.leaks import assert_nothing_leaked
from tests.service.shop import EMAIL, Shop

JOB = "Job/paidup-migrate"


async def _an_emulator(node: Node) -> Emulator:
    """Start one where the manifests have none; what is started later finds it."""
    arguments = [
        f"--listen={node.address(12111)}",
        f"--webhook=http://{node.address(8080)}/webhooks/stripe",
        f"--webhook-secret={SIGNING_SECRET}",
    ]
    process = await Process.start("stripe_emulator", ["stripe_emulator", *arguments], {})
    node.exit.push_async_callback(process.stop)
    return _its_customer(node)


def _its_customer(node: Node) -> Emulator:
    emulator = Emulator(node.address(12111))
    node.exit.push_async_callback(emulator.close)
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


async def test_one_pod_over_sqlite_serves_and_encrypts(tmp_path):
    key = tmp_path / "2026-11"
    key_files.make(key)
    secrets = {**keys(), "paidup-encryption-keys": {key.name: key.read_text()}}
    async with Node(rendered("with-encryption"), tmp_path, secrets) as node:
        emulator = await _an_emulator(node)
        await node.run("migrate")
        gateway = await node.start("gateway")
        service = await node.start("service", **_at_emulator(node))
        await node.until_ready()

        await _somebody_pays(node, emulator, **_at_emulator(node))

        for process in (service, gateway):
            assert await process.stop() == 0
    assert EMAIL.encode() not in (tmp_path / "database" / "paidup.db").read_bytes()
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
    async with Node(rendered("replicated"), tmp_path, keys(**urls)) as node:
        emulator = await _an_emulator(node)
        gateway = await node.start("gateway")
        service = await node.start("service", **_at_emulator(node))
        waiting = [
            await node.probe(name, kind)
            for name in ("gateway", "service")
            for kind in ("liveness", "readiness")
        ]
        looking = asyncio.create_task(node.run("schema"))
        await node.run("migrate", JOB)
        await _until_refused(node)
        too_early = looking.done()
        await node.run("roles", JOB)
        await looking
        await node.until_ready()

        await _somebody_pays(node, emulator, **_at_emulator(node))

        assert waiting == [200, 503, 200, 503]
        assert not too_early
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
