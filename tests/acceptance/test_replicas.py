"""Several replicas on PostgreSQL: one dies, another goes on; and all of it behind a pooler."""

import asyncio
import os
import re
import signal
import socket
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from sqlalchemy import select

import paidup
from billing_service import background, leased
from demo.processes import Process
from demo.stack import Stack
from demo.story import Story
from subscription_state import head, touches
from subscription_state.database import Database
from subscription_state.tables import lease
from tests.leaks import assert_nothing_leaked
from tests.pgbouncer import PgBouncer, pgbouncer
from tests.postgres import Postgres
from tests.service.shop import EMAIL, Shop

__all__ = ["pgbouncer"]

#: Within which the work of a replica that died goes on.
TAKEN_OVER_WITHIN = timedelta(seconds=10)


def test_the_constants_add_up_to_less_than_the_promise():
    looks = timedelta(seconds=background.POLL)

    assert leased.LIFETIME + background.ASK_EVERY + looks < TAKEN_OVER_WITHIN


@pytest.fixture
def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


async def _holder(database: Database) -> int:
    """Give the process id of whoever works the backlog off."""
    async with asyncio.timeout(20):
        while True:
            async with database.read() as connection:
                found = await connection.execute(
                    select(lease.c.holder).where(lease.c.name == background.LEASE)
                )
                named = re.match(r"process (\d+) on ", found.scalar_one_or_none() or "")
            if named:
                return int(named.group(1))
            await asyncio.sleep(0.05)


async def _touch(database: Database, customer_id: str) -> None:
    async def work(connection):
        ticket = await head.draw(connection)
        now = datetime.now(UTC)
        await touches.touch(connection, customer_id, ticket=ticket, urgent=True, now=now)

    await database.write(work)


async def _until_verified(database: Database) -> None:
    while True:
        async with database.read() as connection:
            if await touches.backlog(connection) == touches.Backlog():
                return
        await asyncio.sleep(0.05)


async def _verifies(address: str) -> float:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{address}/metrics") as response,
    ):
        found = re.findall(
            r"^paidup_verifies_total\{.*\} (\S+)$", await response.text(), re.MULTILINE
        )
    return sum(map(float, found))


async def test_the_work_of_a_replica_that_is_killed_goes_on_within_ten_seconds(
    postgres: Postgres, free_address
):
    name = await postgres.create()
    async with Stack(database_url=postgres.url(name)) as stack:
        metrics = {stack.service.process.pid: stack.metrics_address}
        stack.settings = {"PAIDUP_METRICS_LISTEN": free_address}
        other = await stack.start_service()
        metrics[other.process.pid] = free_address
        replicas: dict[int, Process] = {each.process.pid: each for each in (stack.service, other)}
        database = Database.at(postgres.url(name))
        async with paidup.BillingClient(stack.service.address) as client:
            await client.wait_for_ready()
            shop = Shop(stack=stack, client=client, account="acme", email=EMAIL)
            customer_id = (await shop.checkout()).customer_id
        killed = await _holder(database)
        [survivor] = metrics.keys() - {killed}
        async with asyncio.timeout(20):
            await _until_verified(database)
        before = await _verifies(metrics[survivor])

        os.kill(killed, signal.SIGKILL)
        await _touch(database, customer_id)
        async with asyncio.timeout(TAKEN_OVER_WITHIN.total_seconds()):
            await _until_verified(database)

        assert await _holder(database) == survivor
        assert await _verifies(metrics[survivor]) > before
        assert not await _is_alive(replicas[killed])
        await database.close()


async def _is_alive(process: Process) -> bool:
    await process.ended()
    return process.alive


async def test_the_whole_story_behind_a_pooler(postgres: Postgres, pgbouncer: PgBouncer):
    name = await postgres.create()
    settings = {
        "PAIDUP_DATABASE_POOLER": "transaction",
        "PAIDUP_DATABASE_LISTEN_URL": postgres.url(name),
    }
    told = []
    async with (
        Stack(database_url=pgbouncer.url(name), settings=settings) as stack,
        paidup.BillingClient(stack.service.address) as client,
    ):
        await client.wait_for_ready()

        await Story(stack, client, lambda step, text: told.append((step, text))).play()

        sessions = await postgres.run(
            "SELECT DISTINCT application_name FROM pg_stat_activity "
            f"WHERE datname = '{name}' AND application_name LIKE 'paidup%'"
        )
    assert_nothing_leaked(stack)
    assert told[-1][0] == "canceled"
    assert {row[0] for row in sessions} == {"paidup", "paidup_listen"}
