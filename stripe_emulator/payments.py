"""Payment intents: the money side of an invoice."""

from dataclasses import replace

from stripe_emulator import attempts, blanks, charges, ids, mandates, payable_with
from stripe_emulator.attempts import Attempt
from stripe_emulator.instruments import (
    AUTHENTICATION_REQUIRED,
    MANDATE_INVALID,
    PAYMENT_AUTHENTICATION_FAILED,
    Debit,
    Decline,
    Instrument,
)
from stripe_emulator.tables import StripeObject, snapshot
from stripe_emulator.world import World

NO_PAYMENT_METHOD = Decline(
    code="payment_method_required",
    decline_code=None,
    message="There is no payment method on file to charge.",
)
WRONG_CURRENCY = Decline(
    code="payment_intent_incompatible_payment_method",
    decline_code=None,
    message="The payment method cannot pay in this currency.",
)
#: Without another payment method Stripe goes on counting attempts, and asks the bank no more.
HOPELESS = frozenset({"authentication_required", "lost_card", "stolen_card"})
#: What a slow debit takes until it has succeeded or failed, as Stripe's test accounts do.
SLOW_DEBIT_TAKES = 3 * 60


def open_intent(world: World, invoice: StripeObject) -> StripeObject:
    intent_id = ids.new("pi")
    intent = world.payment_intents.add(
        {
            "id": intent_id,
            **blanks.fresh(blanks.PAYMENT_INTENT),
            "amount": invoice["amount_due"],
            "client_secret": ids.client_secret(intent_id),
            "created": world.clock.now(),
            "currency": invoice["currency"],
            "customer": invoice["customer"],
            "description": invoice["description"],
            "payment_method_types": payable_with.eligible(invoice["currency"]),
        }
    )
    world.events.emit("payment_intent.created", intent)
    return intent


def confirm(
    world: World, intent: StripeObject, payment_method: StripeObject | None, *, automatic: bool
) -> Attempt:
    """Try to take the money; `automatic` says that the customer is not there."""
    obstacle = _obstacle(world, intent, payment_method, automatic=automatic)
    if obstacle is not None or payment_method is None:
        return replace(attempts.failed(obstacle or NO_PAYMENT_METHOD), automatic=automatic)
    if needs_authentication(world, payment_method, on_session=not automatic):
        attempt = _ask_the_customer(world, intent, payment_method, automatic=automatic)
    else:
        attempt = _charge(world, intent, payment_method)
    return replace(attempt, automatic=automatic)


def _obstacle(
    world: World, intent: StripeObject, payment_method: StripeObject | None, *, automatic: bool
) -> Decline | None:
    """Find what fails without a word to any bank."""
    if payment_method is None:
        return NO_PAYMENT_METHOD
    if payment_method["type"] not in intent["payment_method_types"]:
        return WRONG_CURRENCY
    if mandates.ended(world, payment_method):
        return MANDATE_INVALID
    error = intent["last_payment_error"]
    if not automatic or error is None or error["payment_method"]["id"] != payment_method["id"]:
        return None
    instrument = world.instruments[payment_method["id"]]
    if error.get("decline_code") not in HOPELESS:
        return None
    return instrument.charge_decline or AUTHENTICATION_REQUIRED


def needs_authentication(world: World, payment_method: StripeObject, *, on_session: bool) -> bool:
    return {
        "never": False,
        "first": payment_method["id"] not in world.authenticated,
        "present": on_session,
        "always": True,
    }[world.instruments[payment_method["id"]].authentication]


def _ask_the_customer(
    world: World, intent: StripeObject, payment_method: StripeObject, *, automatic: bool
) -> Attempt:
    if automatic:
        charge = charges.add(world, intent, payment_method, "failed", AUTHENTICATION_REQUIRED)
        _fail(world, intent, payment_method, charge, AUTHENTICATION_REQUIRED)
    intent["payment_method"] = payment_method["id"]
    intent["next_action"] = {
        "type": "use_stripe_sdk",
        "use_stripe_sdk": {"type": "three_d_secure_redirect"},
    }
    intent["status"] = "requires_action"
    world.events.emit("payment_intent.requires_action", intent)
    if automatic:
        return attempts.failed(AUTHENTICATION_REQUIRED)
    return Attempt(status="requires_action")


def authenticate(world: World, intent: StripeObject, *, succeed: bool) -> Attempt:
    """Answer what the intent requires: the customer's bank knows them, or does not."""
    payment_method = world.payment_methods[intent["payment_method"]]
    intent["next_action"] = None
    if succeed:
        world.authenticated.add(payment_method["id"])
        return _charge(world, intent, payment_method)
    _refuse(world, intent, payment_method, PAYMENT_AUTHENTICATION_FAILED)
    return attempts.failed(PAYMENT_AUTHENTICATION_FAILED)


def _charge(world: World, intent: StripeObject, payment_method: StripeObject) -> Attempt:
    instrument = world.instruments[payment_method["id"]]
    if isinstance(instrument, Debit):
        return _debit(world, intent, payment_method, instrument)
    return _conclude(world, intent, payment_method, instrument)


def _conclude(
    world: World, intent: StripeObject, payment_method: StripeObject, instrument: Instrument
) -> Attempt:
    decline = instrument.charge_decline
    if decline is not None:
        charge = charges.add(world, intent, payment_method, "failed", decline)
        _fail(world, intent, payment_method, charge, decline)
        return attempts.failed(decline)
    charge = charges.add(world, intent, payment_method, "succeeded")
    _succeed(world, intent, payment_method, charge)
    return attempts.SUCCEEDED


def _debit(
    world: World, intent: StripeObject, payment_method: StripeObject, debit: Debit
) -> Attempt:
    charge = charges.add(world, intent, payment_method, "pending")
    intent["latest_charge"] = charge["id"]
    intent["payment_method"] = payment_method["id"]
    intent["last_payment_error"] = None
    intent["status"] = "processing"
    world.events.emit("payment_intent.processing", intent)
    world.events.emit("charge.pending", charge)
    takes = SLOW_DEBIT_TAKES if debit.slow else world.settings.debit_settles_after_seconds
    world.agenda.wake("payment_intent", intent["id"], world.clock.now() + takes)
    return Attempt(status="processing")


def settle(world: World, intent: StripeObject) -> Attempt:
    """Conclude a debit that is on its way."""
    payment_method = world.payment_methods[intent["payment_method"]]
    debit = world.instruments[payment_method["id"]]
    charge = world.charges[intent["latest_charge"]]
    charges.settle(charge, debit.charge_decline)
    if debit.charge_decline is None:
        _succeed(world, intent, payment_method, charge)
        return replace(attempts.SUCCEEDED, automatic=True, late=True)
    _fail(world, intent, payment_method, charge, debit.charge_decline)
    if isinstance(debit, Debit) and debit.ends_mandate:
        mandates.end(world, payment_method)
    return replace(attempts.failed(debit.charge_decline), automatic=True, late=True)


def _succeed(
    world: World, intent: StripeObject, payment_method: StripeObject, charge: StripeObject
) -> None:
    intent["amount_received"] = intent["amount"]
    intent["latest_charge"] = charge["id"]
    intent["payment_method"] = payment_method["id"]
    intent["last_payment_error"] = None
    intent["status"] = "succeeded"
    world.events.emit("charge.succeeded", charge)
    world.events.emit("payment_intent.succeeded", intent)


def _fail(
    world: World,
    intent: StripeObject,
    payment_method: StripeObject,
    charge: StripeObject,
    decline: Decline,
) -> None:
    intent["latest_charge"] = charge["id"]
    world.events.emit("charge.failed", charge)
    _refuse(world, intent, payment_method, decline, {"charge": charge["id"]})


def _refuse(
    world: World,
    intent: StripeObject,
    payment_method: StripeObject,
    decline: Decline,
    details: StripeObject | None = None,
) -> None:
    intent["last_payment_error"] = {
        **decline.error().body()["error"],
        **(details or {}),
        "payment_method": snapshot(payment_method),
    }
    intent["payment_method"] = None
    intent["status"] = "requires_payment_method"
    world.events.emit("payment_intent.payment_failed", intent)


def cancel(world: World, intent: StripeObject) -> None:
    if intent["status"] in ("succeeded", "canceled"):
        return
    intent["status"] = "canceled"
    intent["canceled_at"] = world.clock.now()
    intent["cancellation_reason"] = "void_invoice"
    intent["next_action"] = None
    world.events.emit("payment_intent.canceled", intent)
