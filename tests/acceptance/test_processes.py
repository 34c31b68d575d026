"""Real processes that are ended in the middle of things."""

import asyncio
import signal
import uuid

import aiohttp
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import paidup
from demo.processes import Process, ProcessFailed
from demo.stack import Stack
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1 import billing_service_pb2_grpc
from tests.leaks import assert_nothing_leaked
from tests.service.shop import EMAIL, Shop


@pytest.fixture
async def stack(tmp_path):
    async with Stack(database_url=f"sqlite+aiosqlite:///{tmp_path / 'paidup.db'}") as running:
        yield running
    assert_nothing_leaked(running)


@pytest.fixture
async def client(stack):
    async with paidup.BillingClient(stack.service.address) as client:
        await client.wait_for_ready()
        yield client


@pytest.fixture
def shop(stack, client):
    return Shop(stack=stack, client=client, account="acme", email=EMAIL)


async def restarted(stack: Stack, client: paidup.BillingClient) -> Shop:
    """Start the service again, at the address that it had."""
    settings = {**stack.settings, "PAIDUP_GRPC_LISTEN": stack.service.address}
    stack.settings = settings
    stack.service = await stack.start_service()
    await client.wait_for_ready()
    return Shop(stack=stack, client=client, account="acme", email=EMAIL)


async def test_sigterm_finishes_the_call_in_flight_and_says_that_it_leaves(stack, shop):
    await stack.emulator.faults({"api": {"delay_seconds": 1.5}})
    async with grpc.aio.insecure_channel(stack.service.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        serving = (await watch.read()).status
        call = asyncio.create_task(shop.checkout())
        await _until_called(stack, "CreateCheckoutSession")

        stack.service.process.send_signal(signal.SIGTERM)

        leaving = (await watch.read()).status
        session = await call
    assert serving == health_pb2.HealthCheckResponse.SERVING
    assert leaving == health_pb2.HealthCheckResponse.NOT_SERVING
    assert session.session_id
    assert await stack.service.ended() == 0


async def _until_called(stack: Stack, method: str) -> None:
    wanted = f'grpc_server_started_total{{grpc_method="{method}"'
    async with aiohttp.ClientSession() as session, asyncio.timeout(10):
        while True:
            async with session.get(f"http://{stack.metrics_address}/metrics") as response:
                if wanted in await response.text():
                    return
            await asyncio.sleep(0.01)


async def test_a_killed_service_loses_nothing(stack, shop, client):
    session = await shop.checkout()
    await stack.service.kill()
    await shop.pay(session.session_id)
    await stack.emulator.drain()

    shop = await restarted(stack, client)

    assert (await shop.until("ACTIVE")).entitled
    assert (await shop.status(session.session_id)).subscription_id


async def test_a_service_killed_in_the_middle_of_a_checkout_makes_no_second_session(
    stack, shop, client
):
    request_id = str(uuid.uuid4())
    await stack.emulator.faults({"api": {"delay_seconds": 0.3}})
    call = asyncio.create_task(shop.checkout(request_id=request_id))
    await _until_called(stack, "CreateCheckoutSession")
    await stack.service.kill()
    await stack.emulator.faults({})
    shop = await restarted(stack, client)

    await asyncio.gather(call, return_exceptions=True)
    first = await shop.checkout(request_id=request_id)
    again = await shop.checkout()

    assert again.session_id == first.session_id
    assert again.customer_id == first.customer_id


async def test_a_killed_gateway_loses_nothing_that_is_delivered_again(stack, shop):
    session = await shop.checkout()
    await stack.gateway.kill()
    await shop.pay(session.session_id)
    pending = await stack.emulator.drain(timeout_seconds=0.5)

    stack.gateway = await stack.start_gateway()
    drained = await stack.emulator.drain()

    assert not pending["drained"]
    assert drained["drained"]
    assert (await shop.until("ACTIVE")).entitled


async def test_a_port_that_is_taken_is_named_with_its_variable(stack):
    stack.settings = {**stack.settings, "PAIDUP_GRPC_LISTEN": stack.service.address}

    with pytest.raises(ProcessFailed) as failed:
        await stack.start_service()

    assert stack.service.address in str(failed.value)
    assert "PAIDUP_GRPC_LISTEN" in str(failed.value)
    assert "Traceback" not in str(failed.value)


async def test_a_service_of_another_mode_refuses_the_database(stack, client):
    await stack.service.stop()
    stack.settings = {
        "PAIDUP_STRIPE_API_KEY": "sk_live_paidup_not_a_real_key",
        "PAIDUP_STRIPE_PUBLISHABLE_KEY": "pk_live_paidup_not_a_real_key",
        # Nobody is there; the mode alone is enough to refuse.
        "PAIDUP_STRIPE_API_BASE": "https://127.0.0.1:1",
    }

    process = await Process.start(
        "billing_service", ["billing_service", "serve"], stack.env, log=stack.log
    )
    try:
        code = await process.ended()
    finally:
        await process.stop()

    assert code == 1
    assert any("belongs to Stripe's test mode" in line for line in process.lines)
    assert not any("Traceback" in line for line in process.lines)


async def test_health_serves_only_on_a_migrated_database(stack, tmp_path):
    empty = f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}"
    env = {**stack.env, "PAIDUP_DATABASE_URL": empty, "PAIDUP_METRICS_LISTEN": "127.0.0.1:0"}
    process = await Process.start("service", ["billing_service", "serve"], env, log=stack.log)
    try:
        async with grpc.aio.insecure_channel(process.address) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            call = health.Check(health_pb2.HealthCheckRequest(), timeout=5, wait_for_ready=True)
            billing = billing_service_pb2_grpc.BillingServiceStub(channel)
            request = pb.CheckEntitlementRequest(account_id="a", feature="f")
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await billing.CheckEntitlement(request, timeout=5)

            assert (await call).status == health_pb2.HealthCheckResponse.NOT_SERVING
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
            assert "SELECT" not in str(refused.value.details())
    finally:
        await process.stop()


async def test_a_database_that_is_away_is_waited_for(postgres, tmp_path):
    name = await postgres.create()
    async with (
        Stack(database_url=postgres.url(name)) as stack,
        grpc.aio.insecure_channel(stack.service.address) as channel,
        paidup.BillingClient(stack.service.address) as client,
    ):
        shop = Shop(stack=stack, client=client, account="acme", email=EMAIL)
        await client.wait_for_ready()
        session = await shop.checkout()
        postgres.stop()
        try:
            stub = billing_service_pb2_grpc.BillingServiceStub(channel)
            request = pb.CheckEntitlementRequest(account_id="acme", feature="api_access")
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.CheckEntitlement(request, timeout=20)
            await shop.pay(session.session_id)
        finally:
            postgres.start()

        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        details = dict(refused.value.trailing_metadata())["grpc-status-details-bin"]
        assert b"ERROR_REASON_STATE_UNAVAILABLE" in details
        assert b"RetryInfo" in details
        await stack.emulator.drain(timeout_seconds=30)
        await client.wait_for_ready()
        assert (await shop.until("ACTIVE")).entitled
