"""Kills processes and crashes the database, at random, and starts them again."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from random import Random
from typing import Any

from soak.fleet import MODULES, Fleet

KILLED = "processes killed (kill -9)"
CRASHED = "crashes of PostgreSQL"
CLOCK_MOVED = "hours that Stripe's clock was moved"
#: Every so many kills the database crashes too.
KILLS_A_CRASH = 5
LONGEST_ABSENCE = 4.0


async def kill_at_random(fleet: Fleet, chance: Random, done: Counter[str], pause: float) -> None:
    """Until cancelled, let something die every `pause` seconds or so, and come back."""
    while True:
        await asyncio.sleep(chance.uniform(0, 2 * pause))
        if chance.randrange(KILLS_A_CRASH) == 0:
            await _whole(fleet.crash_database())
            done[CRASHED] += 1
        else:
            absence = chance.uniform(0, LONGEST_ABSENCE)
            await _whole(_die(fleet, chance.choice(sorted(MODULES)), absence))
            done[KILLED] += 1


async def _die(fleet: Fleet, name: str, absence: float) -> None:
    await fleet.kill(name)
    await asyncio.sleep(absence)
    await fleet.start(name)


async def _whole(misfortune: Coroutine[Any, Any, None]) -> None:
    """Let it end also when the chaos is called off, so that all are alive afterwards."""
    task = asyncio.create_task(misfortune)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


async def move_clock(fleet: Fleet, chance: Random, done: Counter[str], pause: float) -> None:
    """Until cancelled, let a day or so pass at Stripe every `pause` seconds."""
    while True:
        await asyncio.sleep(chance.uniform(0, 2 * pause))
        hours = chance.randint(12, 60)
        await fleet.emulator.advance(hours=hours)
        done[CLOCK_MOVED] += hours
