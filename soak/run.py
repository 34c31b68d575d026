"""One soak: everybody lives, everything fails, then all is left alone and judged."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import paidup
from demo.emulator import Json
from soak import chaos
from soak.fleet import Fleet
from soak.lives import Life
from soak.stripe_truth import StripeTruth
from soak.verdict import Divergence, divergences, lost_events
from soak.watch import Watch
from subscription_state.database import Database

#: Stripe's webhooks that are younger are still on their way to the sweep.
YOUNG_HOURS = 0.1
LOOK_AGAIN = 0.5
NO_FAULTS: Json = {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How much of everything. Times are in seconds."""

    subscriptions: int
    seconds: float
    seed: int
    #: Between two things that one account does, two kills, and two moves of the clock.
    action_pause: float
    kill_pause: float
    clock_pause: float
    #: The longest delay of a webhook.
    webhook_delay: float
    #: How long everything may take to be right again in the end.
    patience: float
    settings: dict[str, str]
    #: What has to have happened so often, however slow the machine is.
    at_least: dict[str, int] = field(default_factory=dict)

    @property
    def faults(self) -> Json:
        return {
            "seed": self.seed,
            "webhooks": {
                "duplicate": 0.2,
                "drop_share": 0.05,
                "reorder": 0.2,
                "delay_share": 0.3,
                "delay_seconds": self.webhook_delay,
            },
            "api": {"rate_limited": 0.025, "failing": 0.025},
        }


@dataclass(kw_only=True)
class Result:
    """What happened, and whether it ended well."""

    done: Counter[str]
    injected: Json
    divergences: list[Divergence]
    #: Subscriptions that are stored otherwise than Stripe has them.
    differing: list[str]
    lost: list[str]
    #: How long differences between Stripe and what was stored lasted, in seconds.
    differences: list[float]
    #: From the last fault until every decision was right, in seconds.
    right_after: float
    log: list[str] = field(repr=False)

    @property
    def ended_well(self) -> bool:
        return not (self.divergences or self.differing or self.lost)


async def soak(plan: Plan) -> Result:
    async with AsyncExitStack() as exit_stack:
        fleet = await exit_stack.enter_async_context(Fleet(settings=plan.settings))
        client = await exit_stack.enter_async_context(paidup.BillingClient(fleet.services))
        truth = await exit_stack.enter_async_context(StripeTruth(fleet.emulator.url))
        database = Database.at(fleet.database_url)
        exit_stack.push_async_callback(database.close)
        await client.wait_for_ready()
        return await _Soak(plan, fleet, client, truth, database).run()


class _Soak:
    def __init__(
        self,
        plan: Plan,
        fleet: Fleet,
        client: paidup.BillingClient,
        truth: StripeTruth,
        database: Database,
    ) -> None:
        self._plan = plan
        self._fleet = fleet
        self._client = client
        self._truth = truth
        self._database = database
        self._watch = Watch(database=database, truth=truth)
        self._done: Counter[str] = Counter()

    async def run(self) -> Result:
        lives = await self._lives()
        await self._fleet.emulator.faults(self._plan.faults)
        async with _meanwhile(self._watch.run(), *self._all_that_happens(lives)):
            await self._until_enough()
        injected = await self._fleet.emulator.fault_counts()
        await self._fleet.emulator.faults(NO_FAULTS)
        wrong, right_after = await self._settle(lives)
        return Result(
            done=self._done,
            injected=injected,
            divergences=wrong,
            differing=sorted(self._watch.differing),
            lost=await lost_events(self._fleet.emulator, self._database),
            differences=self._watch.lasted,
            right_after=right_after,
            log=self._fleet.log,
        )

    async def _until_enough(self) -> None:
        await asyncio.sleep(self._plan.seconds)
        while any(self._done[what] < times for what, times in self._plan.at_least.items()):
            await asyncio.sleep(1)

    async def _lives(self) -> list[Life]:
        turn = asyncio.Semaphore(16)
        prices = await self._truth.prices()
        return [
            Life(
                account=f"account-{number}",
                chance=Random(f"{self._plan.seed}-{number}"),
                client=self._client,
                emulator=self._fleet.emulator,
                turn=turn,
                prices=prices,
                done=self._done,
            )
            for number in range(self._plan.subscriptions)
        ]

    def _all_that_happens(self, lives: list[Life]) -> list[Coroutine[Any, Any, None]]:
        plan, done = self._plan, self._done
        return [
            *(life.live(pause=plan.action_pause) for life in lives),
            chaos.kill_at_random(self._fleet, Random(f"{plan.seed}-kills"), done, plan.kill_pause),
            chaos.move_clock(self._fleet, Random(f"{plan.seed}-clock"), done, plan.clock_pause),
        ]

    async def _settle(self, lives: list[Life]) -> tuple[list[Divergence], float]:
        """Wait until all is right; give what is wrong in the end, and how long it took."""
        began = time.monotonic()
        await self._fleet.emulator.advance(hours=YOUNG_HOURS)
        customers = [life for life in lives if life.customer_id]
        while True:
            # The last that was killed may still be on its way back.
            await self._client.wait_for_ready(timeout=self._plan.patience)
            await self._watch.look()
            wrong = await divergences(self._client, self._truth, customers)
            took = time.monotonic() - began
            all_is_right = not wrong and not self._watch.differing
            if all_is_right or took > self._plan.patience:
                return wrong, took
            await asyncio.sleep(LOOK_AGAIN)


@asynccontextmanager
async def _meanwhile(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Let it go on during the block; what fails on the way ends the block."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
