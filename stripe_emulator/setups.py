"""Setup intents: putting a card on file without charging it."""

from stripe_emulator import blanks, ids
from stripe_emulator.instruments import Decline
from stripe_emulator.tables import StripeObject, snapshot
from stripe_emulator.world import World


def confirm(world: World, payment_method: StripeObject, customer_id: str) -> Decline | None:
    intent = world.setup_intents.add(_setup_intent(world, customer_id))
    world.events.emit("setup_intent.created", intent)
    decline = world.cards[payment_method["id"]].attach_decline
    if decline is None:
        intent["payment_method"] = payment_method["id"]
        intent["status"] = "succeeded"
        world.events.emit("setup_intent.succeeded", intent)
    else:
        error = decline.error().body()["error"]
        intent["last_setup_error"] = {**error, "payment_method": snapshot(payment_method)}
        world.events.emit("setup_intent.setup_failed", intent)
    return decline


def _setup_intent(world: World, customer_id: str) -> StripeObject:
    intent_id = ids.new("seti")
    return {
        "id": intent_id,
        **blanks.fresh(blanks.SETUP_INTENT),
        "client_secret": ids.client_secret(intent_id),
        "created": world.clock.now(),
        "customer": customer_id,
    }
