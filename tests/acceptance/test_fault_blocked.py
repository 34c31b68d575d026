"""A process gets no time to run: nothing is lost, and its first answer is not an old one."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from demo.stack import Stack
from subscription_state.tables import subscription
from tests.acceptance.faults import BOUND, SETTINGS, System, check, running, until
from tests.gateway.databases import stored

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    url = f"sqlite+aiosqlite:///{tmp_path / 'paidup.db'}"
    async with running(Stack(database_url=url, settings=SETTINGS)) as started:
        yield started


async def test_a_service_that_was_stopped_does_not_answer_from_an_old_memory(
    system: System,
) -> None:
    await system.shop.subscribe()
    await system.shop.until("ACTIVE")
    portal = await system.shop.client.create_portal_session(account_id=system.shop.account)
    # An event of the second of the last read would wait for another read: see Rule 1.
    await system.stack.emulator.advance(hours=1)
    service = system.stack.service.process
    loop = asyncio.get_running_loop()

    service.send_signal(signal.SIGSTOP)
    stopped = loop.time()
    try:
        await system.stack.emulator.portal(portal.session_id, "cancel", immediately=True)
        drained = await system.stack.emulator.drain()
        await until(lambda: _is_canceled(system))
        asked = asyncio.create_task(check(system, "api_access"))
        await asyncio.sleep(0)  # It is sent now.
        await until(lambda: _is_past(loop, stopped + BOUND + 0.5))
    finally:
        service.send_signal(signal.SIGCONT)

    assert drained["drained"]
    assert not (await asked).entitled
    await system.until_ready()


async def _is_canceled(system: System) -> bool:
    held = await stored(system.stack.database_url, subscription)
    return [row.status for row in held] == ["canceled"]


async def _is_past(loop: asyncio.AbstractEventLoop, moment: float) -> bool:
    return loop.time() > moment


async def test_a_gateway_that_was_stopped_takes_in_what_came_meanwhile(system: System) -> None:
    await system.until_answered(200)
    gateway = system.stack.gateway.process

    gateway.send_signal(signal.SIGSTOP)
    try:
        waiting = [asyncio.create_task(system.deliver()) for _ in range(20)]
        done, _ = await asyncio.wait(waiting, timeout=1)
    finally:
        gateway.send_signal(signal.SIGCONT)

    assert done == set()
    assert await asyncio.gather(*waiting) == [200] * 20
    assert len(await stored(system.stack.database_url)) >= 21
