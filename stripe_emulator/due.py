"""Making happen what the simulated time has reached."""

from collections.abc import Callable

from stripe_emulator import checkout, collection, debit_settlement, entitlements, renewals
from stripe_emulator.world import World

WAKE: dict[str, Callable[[World, str], None]] = {
    "checkout.session": checkout.wake,
    "invoice": collection.wake,
    "payment_intent": debit_settlement.wake,
    "subscription": renewals.wake,
}


def run(world: World) -> None:
    """Wake up everything due by now, in order, each at its own moment."""
    entitlements.settle(world)
    while (due := world.agenda.pop(world.clock.now())) is not None:
        with world.clock.at(due.moment):
            WAKE[due.kind](world, due.object_id)
            entitlements.settle(world)
