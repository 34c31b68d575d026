"""Making happen what the simulated time has reached."""

from collections.abc import Callable

from stripe_emulator import (
    checkout,
    collection,
    debit_settlement,
    entitlements,
    renewals,
    test_clocks,
)
from stripe_emulator.world import World

WAKE: dict[str, Callable[[World, str], None]] = {
    "checkout.session": checkout.wake,
    "invoice": collection.wake,
    "payment_intent": debit_settlement.wake,
    "subscription": renewals.wake,
    "test_clock": test_clocks.wake,
}


def run(world: World) -> None:
    """Wake up everything due by now, in everybody's time, in order, each at its own moment."""
    entitlements.settle(world)
    _catch_up(world, world.clock.now())
    for clock in world.test_clocks.where():
        with world.living_on(clock):
            _catch_up(world, test_clocks.until(clock))
        test_clocks.arrive(world, clock)


def _catch_up(world: World, until: int) -> None:
    while (due := world.agenda.pop(until)) is not None:
        with world.clock.at(due.moment):
            WAKE[due.kind](world, due.object_id)
            entitlements.settle(world)
