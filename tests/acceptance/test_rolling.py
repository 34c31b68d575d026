"""Rolling restarts and a rolled secret under load: nobody has to notice.

`ROLLING_ROUNDS=20 make test TESTS="tests/acceptance/test_rolling.py -s"` goes on for longer, and
shows how often everything was done meanwhile.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import select

from paidup import Source
from soak.fleet import GATEWAYS, SERVICES, Fleet
from soak.verdict import lost_events
from subscription_state.database import Database
from subscription_state.tables import event
from tests.acceptance.load import FEATURE, PATIENT, Callers, Load, Sender, callers
from tests.leaks import assert_nothing_leaked

ROUNDS = int(os.environ.get("ROLLING_ROUNDS", "2"))
#: Each has to have been done so often, or nothing was tried.
AT_LEAST = {
    "lists": 100,
    "checks without retries": 100,
    "batches": 20,
    "answers of the cache": 20,
    "purchases": 5,
    "events": 20,
    "stream goodbye": 1,
    "stream account": 5,
}

FIRST_SECRET = "whsec_first"
SECOND_SECRET = "whsec_second"

pytestmark = pytest.mark.timeout(180 + 60 * ROUNDS)


@pytest.fixture
def secrets_file(tmp_path: Path) -> Path:
    path = tmp_path / "secrets"
    path.write_text(FIRST_SECRET)
    return path


@pytest.fixture
async def fleet(secrets_file: Path) -> AsyncIterator[Fleet]:
    settings = {
        "PAIDUP_DRAIN_SECONDS": "2",
        "PAIDUP_STRIPE_CALLS_PER_SECOND": "200",
        # In a file instead.
        "PAIDUP_WEBHOOK_SECRETS": "",
        "PAIDUP_WEBHOOK_SECRETS_FILE": str(secrets_file),
    }
    async with Fleet(settings=settings, secret=FIRST_SECRET) as running:
        yield running
    assert_nothing_leaked(running)


#: By channel of the load, a method that is called over no other.
CHANNELS = {"client": "BatchCheckEntitlements", "without retries": "CheckEntitlement"}


async def _is_called(fleet: Fleet, service: str) -> bool:
    """Ask a service whether it was called over every channel."""
    lines = fleet.processes[service].lines
    [url] = [found[1] for line in lines if (found := re.search(r"metrics on (\S+)", line))]
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as answer:
        told = await answer.text()
    answered = r'^grpc_server_handled_total\{.*grpc_code="OK".*"%s"'
    return all(re.search(answered % method, told, re.MULTILINE) for method in CHANNELS.values())


async def _replace_services(fleet: Fleet) -> None:
    """Replace each when all have found the one before again: orchestrators wait for that."""
    for service in SERVICES:
        assert await fleet.replace(service) == 0
        async with asyncio.timeout(60):
            while not await _is_called(fleet, service):
                await asyncio.sleep(0.05)


async def _replace_gateways(fleet: Fleet) -> None:
    for gateway in GATEWAYS:
        assert await fleet.replace(gateway) == 0


async def _roll_secret(fleet: Fleet, sender: Sender, file: Path) -> None:
    """Give the gateways one more secret, have all signed with it for a while, and take it away."""
    both, first = f"{SECOND_SECRET}\n{fleet.secret}\n", f"{fleet.secret}\n"
    await _rewrite(fleet, file, both, times=1)
    sender.secret = SECOND_SECRET
    await _more_are_sent(sender)
    sender.secret = fleet.secret
    await _more_are_sent(sender)
    await _rewrite(fleet, file, first, times=2)
    await _more_are_sent(sender)


async def _rewrite(fleet: Fleet, file: Path, text: str, *, times: int) -> None:
    """Change the file at once, as mounted secrets do; return when both gateways have read it."""
    file.with_suffix(".new").write_text(text)
    file.with_suffix(".new").replace(file)
    counted = f'paidup_webhook_secrets_reloads_total{{result="changed"}} {times}.0'
    async with asyncio.timeout(60), aiohttp.ClientSession() as session:
        for gateway in GATEWAYS:
            told = ""
            while counted not in told:
                await asyncio.sleep(0.1)
                url = f"http://{fleet.processes[gateway].address}/metrics"
                async with session.get(url) as answer:
                    told = await answer.text()


async def _more_are_sent(sender: Sender) -> None:
    """Wait for more than can be on their way."""
    wanted = len(sender.acknowledged) + 10
    async with asyncio.timeout(60):
        while len(sender.acknowledged) < wanted:
            await asyncio.sleep(0.05)


async def _all_has_been_done(everybody: Callers) -> None:
    async with asyncio.timeout(60):
        while any(everybody.load.done[what] < times for what, times in AT_LEAST.items()):
            await asyncio.sleep(0.1)


async def _all_has_been_seen(everybody: Callers) -> None:
    """Wait until the watcher has seen every purchase; what was missed never comes."""
    async with asyncio.timeout(PATIENT):
        while not everybody.watcher.entitled.issuperset(everybody.bought[1:]):
            await asyncio.sleep(0.1)


async def _stored(fleet: Fleet) -> set[str]:
    database = Database.at(fleet.database_url)
    try:
        async with database.read() as connection:
            assert await lost_events(fleet.emulator, database) == []
            return set(await connection.scalars(select(event.c.event_id)))
    finally:
        await database.close()


def _show(load: Load) -> None:
    lines = [f"{times:8d} {what}" for what, times in sorted(load.done.items())]
    head = f"{4 * ROUNDS} processes replaced, {len(load.failed)} failures"
    print("", head, *lines, sep="\n")  # noqa: T201 - what it is run for by hand


async def test_both_replicas_are_replaced_and_the_secret_is_rolled_and_nobody_notices(
    fleet, secrets_file
):
    async with callers(fleet) as everybody:
        for _ in range(ROUNDS):
            await asyncio.gather(_replace_services(fleet), _replace_gateways(fleet))
        await _roll_secret(fleet, everybody.sender, secrets_file)
        await _all_has_been_done(everybody)
        await _all_has_been_seen(everybody)
        remembered = everybody.cache.peek(everybody.bought[0], feature=FEATURE)
    _show(everybody.load)

    assert everybody.load.failed == []
    assert everybody.sender.acknowledged <= await _stored(fleet)
    assert (remembered.entitled, remembered.source) == (True, Source.MEMORY)
