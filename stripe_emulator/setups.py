"""Setup intents: putting a card on file without charging it."""

from stripe_emulator import blanks, ids
from stripe_emulator.instruments import SETUP_AUTHENTICATION_FAILED, Decline, Instrument
from stripe_emulator.tables import StripeObject, snapshot
from stripe_emulator.world import World


def confirm(world: World, payment_method: StripeObject, customer_id: str) -> StripeObject:
    """Try to put it on file; the intent's `status` and `last_setup_error` say what came of it."""
    intent = world.setup_intents.add(_setup_intent(world, payment_method, customer_id))
    world.events.emit("setup_intent.created", intent)
    instrument = world.instruments[payment_method["id"]]
    if instrument.attach_decline is not None:
        _refuse(world, intent, payment_method, instrument.attach_decline)
    elif needs_authentication(instrument):
        intent["payment_method"] = payment_method["id"]
        intent["next_action"] = {
            "type": "use_stripe_sdk",
            "use_stripe_sdk": {"type": "three_d_secure_redirect"},
        }
        intent["status"] = "requires_action"
        world.events.emit("setup_intent.requires_action", intent)
    else:
        _succeed(world, intent, payment_method)
    return intent


def needs_authentication(instrument: Instrument) -> bool:
    """Tell whether the bank wants to hear from its customer before it is put on file."""
    return instrument.authentication in ("first", "always")


def authenticate(world: World, intent: StripeObject, *, succeed: bool) -> None:
    payment_method = world.payment_methods[intent["payment_method"]]
    intent["next_action"] = None
    if succeed:
        world.authenticated.add(payment_method["id"])
        _succeed(world, intent, payment_method)
    else:
        _refuse(world, intent, payment_method, SETUP_AUTHENTICATION_FAILED)


def _succeed(world: World, intent: StripeObject, payment_method: StripeObject) -> None:
    intent["payment_method"] = payment_method["id"]
    intent["last_setup_error"] = None
    intent["status"] = "succeeded"
    world.events.emit("setup_intent.succeeded", intent)


def _refuse(
    world: World, intent: StripeObject, payment_method: StripeObject, decline: Decline
) -> None:
    error = decline.error().body()["error"]
    intent["last_setup_error"] = {**error, "payment_method": snapshot(payment_method)}
    intent["payment_method"] = None
    intent["status"] = "requires_payment_method"
    world.events.emit("setup_intent.setup_failed", intent)


def _setup_intent(world: World, payment_method: StripeObject, customer_id: str) -> StripeObject:
    intent_id = ids.new("seti")
    return {
        "id": intent_id,
        **blanks.fresh(blanks.SETUP_INTENT),
        "client_secret": ids.client_secret(intent_id),
        "created": world.clock.now(),
        "customer": customer_id,
        "payment_method_types": [payment_method["type"]],
    }
