"""Sends inputs until the time is over, and stops at the first that is answered wrongly."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from fuzz import calls, webhooks
from fuzz.oracle import Tally
from fuzz.world import World

#: Inputs between two looks at the processes, and at the clock.
PORTION = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """One thing that takes input from outside."""

    inputs: Callable[[World], st.SearchStrategy[Any]]
    #: Gives how it was answered; raises `Wrong`.
    send: Callable[[World, Any], Awaitable[str]]


TARGETS = {
    "gRPC requests of every method": Target(inputs=calls.inputs, send=calls.send),
    "signature header": Target(inputs=webhooks.signatures, send=webhooks.send),
    "signed bodies": Target(inputs=webhooks.bodies, send=webhooks.send),
    "gateway's paths and methods": Target(inputs=webhooks.pages, send=webhooks.send),
    "operations' paths and methods": Target(
        inputs=webhooks.pages, send=webhooks.send_to_operations
    ),
}


def fuzz(
    loop: asyncio.AbstractEventLoop,
    world: World,
    target: Target,
    *,
    seconds: float,
    first_seed: int,
) -> Tally:
    """Send inputs for so long, at least a portion; raise `Wrong` with the least that fails."""
    tally, until = Tally(), time.monotonic() + seconds
    seeds = random.Random(first_seed)  # noqa: S311 - drawn to be repeated
    while not tally.inputs or time.monotonic() < until:
        _portion(loop, world, target, tally, seeds.randrange(2**32))
    return tally


def _portion(
    loop: asyncio.AbstractEventLoop, world: World, target: Target, tally: Tally, number: int
) -> None:
    @seed(number)
    @settings(
        max_examples=PORTION,
        deadline=None,
        database=None,
        derandomize=False,
        # The least of one; several would come as a group.
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(target.inputs(world))
    def attempt(drawn: Any) -> None:
        tally.outcomes[loop.run_until_complete(target.send(world, drawn))] += 1

    attempt()
    loop.run_until_complete(world.check())
