"""Setup intents: putting a card on file without charging it."""

from stripe_emulator import ids
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
        "object": "setup_intent",
        "application": None,
        "automatic_payment_methods": None,
        "cancellation_reason": None,
        "client_secret": ids.client_secret(intent_id),
        "created": world.clock.now(),
        "customer": customer_id,
        "description": None,
        "flow_directions": None,
        "last_setup_error": None,
        "latest_attempt": None,
        "livemode": False,
        "mandate": None,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "single_use_mandate": None,
        "status": "requires_payment_method",
        "usage": "off_session",
    }
