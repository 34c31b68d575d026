"""Several worker processes of one service: they share a port, and one speaks for all."""

import asyncio
import os
import signal
import socket
import tempfile
from pathlib import Path

import aiohttp
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

import paidup
from demo.processes import Process, ProcessFailed
from demo.stack import Stack
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1 import billing_service_pb2_grpc
from tests.leaks import assert_nothing_leaked
from tests.service.shop import EMAIL, Shop

WORKERS = 2
REQUEST = pb.CheckEntitlementRequest(account_id="acme", feature="api_access")
SERVICE = ("paidup.v1.BillingService", "unary")
CHECKS = ("grpc_server_handled_total", "OK", "CheckEntitlement", *SERVICE)


@pytest.fixture
def folder():
    """Where workers answer; the name of a Unix socket must be short."""
    with tempfile.TemporaryDirectory(prefix="w-", dir="/tmp") as path:
        yield Path(path)


@pytest.fixture
async def stack(tmp_path, folder):
    url = f"sqlite+aiosqlite:///{tmp_path / 'paidup.db'}"
    # Long enough for the word to spread that it leaves.
    settings = {"TMPDIR": str(folder), "PAIDUP_DRAIN_SECONDS": "0.5"}
    async with Stack(database_url=url, settings=settings, workers=WORKERS) as running:
        async with asyncio.timeout(20):
            while await _ready(running) != 200:
                await asyncio.sleep(0.02)
        yield running
    assert_nothing_leaked(running)


async def _ready(stack: Stack) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{stack.metrics_address}/readyz") as answer,
    ):
        return answer.status


def _samples(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def _metrics(stack: Stack) -> dict[tuple[str, ...], float]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{stack.metrics_address}/metrics") as answer,
    ):
        return _samples(await answer.text())


async def _metrics_of_each(folder: Path) -> list[dict[tuple[str, ...], float]]:
    found = []
    for path in _sockets(folder):
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
            session.get("http://worker/metrics") as answer,
        ):
            found.append(_samples(await answer.text()))
    return found


async def _call_over_connections(stack: Stack, connections: int) -> None:
    for _ in range(connections):
        # Each with a connection of its own: the kernel chooses whose it is.
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(stack.service.address, options=options) as channel:
            await billing_service_pb2_grpc.BillingServiceStub(channel).CheckEntitlement(
                REQUEST, timeout=10
            )


def _sockets(folder: Path) -> list[Path]:
    return sorted(folder.glob("paidup-*/*"))


def _running(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def _worker_pids(stack: Stack) -> list[int]:
    pid = stack.service.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(each) for each in children.split()]


async def _until_counted(stack: Stack, name: str, wanted: float) -> dict[tuple[str, ...], float]:
    async with asyncio.timeout(20):
        while (told := await _metrics(stack)).get((name,)) != wanted:
            await asyncio.sleep(0.02)
    return told


async def test_connections_are_spread_and_metrics_are_the_sum(stack, folder):
    await _call_over_connections(stack, 40)

    total = await _metrics(stack)
    each = await _metrics_of_each(folder)

    assert len(each) == WORKERS
    assert all(one.get(CHECKS, 0) > 0 for one in each), "a worker was never called"
    assert sum(one[CHECKS] for one in each) == total[CHECKS] == 40
    assert total["paidup_workers",] == WORKERS
    assert total["paidup_ready",] == 1
    memory = ("process_resident_memory_bytes",)
    assert total[memory] > max(one[memory] for one in each)


async def test_a_killed_worker_is_started_again_and_callers_notice_nothing(stack):
    await _call_over_connections(stack, 20)
    before = await _metrics(stack)
    killed = _worker_pids(stack)[0]
    async with paidup.BillingClient(stack.service.address) as client:
        await client.wait_for_ready()
        stop = asyncio.Event()

        async def call() -> int:
            answered = 0
            while not stop.is_set():
                await client.check_entitlement(account_id="acme", feature="api_access")
                answered += 1
            return answered

        calling = asyncio.create_task(call())
        os.kill(killed, signal.SIGKILL)
        await _until_counted(stack, "paidup_worker_restarts_total", 1)
        after = await _until_counted(stack, "paidup_workers", WORKERS)
        stop.set()
        answered = await calling

    assert answered > 0
    assert killed not in _worker_pids(stack)
    assert len(_worker_pids(stack)) == WORKERS
    # What the dead one had counted is not forgotten: the sum does not fall.
    assert after[CHECKS] >= before[CHECKS]
    assert await _ready(stack) == 200


async def test_sigterm_finishes_the_call_in_flight_and_every_worker_says_that_it_leaves(stack):
    await stack.emulator.faults({"api": {"delay_seconds": 1.5}})
    async with (
        grpc.aio.insecure_channel(stack.service.address) as channel,
        paidup.BillingClient(stack.service.address) as client,
    ):
        shop = Shop(stack=stack, client=client, account="acme", email=EMAIL)
        await client.wait_for_ready()
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        # The worker that has this connection may just have been started.
        while (await watch.read()).status != health_pb2.HealthCheckResponse.SERVING:
            pass
        call = asyncio.create_task(shop.checkout())
        started = ("grpc_server_started_total", "CreateCheckoutSession", *SERVICE)
        async with asyncio.timeout(10):
            while started not in await _metrics(stack):
                await asyncio.sleep(0.01)
        workers = _worker_pids(stack)

        stack.service.process.send_signal(signal.SIGTERM)

        leaving = (await watch.read()).status
        unready = await _ready(stack)
        session = await call
    assert leaving == health_pb2.HealthCheckResponse.NOT_SERVING
    assert unready == 503
    assert session.session_id
    assert await stack.service.ended() == 0
    assert not _running(workers)


async def test_workers_end_with_the_process_that_speaks_for_them(stack):
    workers = _worker_pids(stack)

    stack.service.process.kill()
    # Its output ends only when the last of those who write there has ended.
    await stack.service.ended()

    assert len(workers) == WORKERS
    async with asyncio.timeout(10):
        while _running(workers):
            await asyncio.sleep(0.02)


async def test_a_worker_that_hangs_is_told_of(stack):
    hanging = _worker_pids(stack)[0]
    os.kill(hanging, signal.SIGSTOP)
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{stack.metrics_address}/healthz") as answer,
        ):
            alive = await answer.json()
        ready = await _ready(stack)
        counted = await _metrics(stack)
    finally:
        os.kill(hanging, signal.SIGCONT)

    assert answer.status == 503
    assert not alive["alive"]
    assert len(alive["silent_workers"]) == 1
    assert ready == 503
    assert counted["paidup_ready",] == 1, "what the others tell must not wait for it"


async def test_a_port_that_is_taken_is_named_with_its_variable(stack):
    stack.settings = {"PAIDUP_GRPC_LISTEN": stack.service.address}

    with pytest.raises(ProcessFailed) as failed:
        await stack.start_service()

    assert stack.service.address in str(failed.value)
    assert "PAIDUP_GRPC_LISTEN" in str(failed.value)
    assert "Traceback" not in str(failed.value)


async def test_nobody_else_can_share_the_port(stack):
    host, _, port = stack.service.address.rpartition(":")
    with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
        stranger.bind((host, int(port)))


async def test_workers_that_cannot_work_end_the_service_with_their_words(stack, folder):
    await stack.service.stop()
    stack.settings = {
        "TMPDIR": str(folder),
        "PAIDUP_STRIPE_API_KEY": "sk_live_paidup_not_a_real_key",
        "PAIDUP_STRIPE_PUBLISHABLE_KEY": "pk_live_paidup_not_a_real_key",
        # Nobody is there; the mode alone is enough to refuse.
        "PAIDUP_STRIPE_API_BASE": "https://127.0.0.1:1",
    }

    process = await Process.start(
        "billing_service",
        ["billing_service", "serve", "--workers", "2"],
        stack.env,
        log=stack.log,
    )
    try:
        code = await process.ended()
    finally:
        await process.stop()

    assert code == 1
    assert any("belongs to Stripe's test mode" in line for line in process.lines)
    assert not any("Traceback" in line for line in process.lines)
