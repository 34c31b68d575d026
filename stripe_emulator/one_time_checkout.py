"""Checkout Sessions that sell something once: `mode=payment`, by card, without authentication."""

from stripe_emulator import attempts, payment_methods, payments
from stripe_emulator.attempts import Attempt
from stripe_emulator.errors import UnsupportedByEmulator
from stripe_emulator.instruments import Card, Instrument
from stripe_emulator.parameters import Params
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World

#: What `payment_intent_data` may say; the emulator would have to ignore the rest.
FOLLOWED = frozenset({"description", "metadata", "receipt_email", "setup_future_usage", "shipping"})


def buy(
    world: World, session: StripeObject, instrument: Instrument | None, details: Params
) -> Attempt:
    """Charge what is due, and complete the session if that succeeds."""
    attempt = _charge(world, session, instrument, details)
    if attempt.status == "succeeded":
        _complete(world, session, details)
    return attempt


def _charge(
    world: World, session: StripeObject, instrument: Instrument | None, details: Params
) -> Attempt:
    if instrument is None:
        return attempts.SUCCEEDED
    if not isinstance(instrument, Card) or instrument.authentication != "never":
        raise UnsupportedByEmulator("mode=payment with what asks the bank first")
    payment_method = payment_methods.from_instrument(world, instrument, details)
    return payments.confirm(world, _intent(world, session), payment_method, automatic=False)


def _intent(world: World, session: StripeObject) -> StripeObject:
    known = world.payment_intents.find(session["payment_intent"])
    if known is not None:
        return known
    sold = {
        "amount_due": session["amount_total"],
        "currency": session["currency"],
        "customer": session["customer"],
        "description": None,
    }
    intent = payments.open_intent(world, sold)
    intent.update(setup_future_usage=None, payment_method_types=["card"])
    intent.update(world.purchases[session["id"]].payment_intent_data)
    session["payment_intent"] = intent["id"]
    return intent


def _complete(world: World, session: StripeObject, details: Params) -> None:
    session.update(
        customer_details=_customer_details(world, session, details),
        payment_status="paid" if session["amount_total"] > 0 else "no_payment_required",
        status="complete",
        url=None,
    )
    world.events.emit("checkout.session.completed", session)


def _customer_details(world: World, session: StripeObject, details: Params) -> StripeObject:
    customer = world.customers.find(session["customer"]) or {}
    return {
        "address": None,
        "business_name": None,
        "email": customer.get("email") or details.get("email"),
        "individual_name": None,
        "name": customer.get("name") or details.get("name"),
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }
