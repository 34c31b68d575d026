"""Payment intents and charges: the money side of an invoice."""

from stripe_emulator import blanks, ids
from stripe_emulator.instruments import Decline
from stripe_emulator.tables import StripeObject, snapshot
from stripe_emulator.world import World

NO_PAYMENT_METHOD = Decline(
    code="payment_method_required",
    decline_code=None,
    message="There is no payment method on file to charge.",
)


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
        }
    )
    world.events.emit("payment_intent.created", intent)
    return intent


def confirm(
    world: World, intent: StripeObject, payment_method: StripeObject | None
) -> Decline | None:
    """Try to take the money; give the decline if there is one."""
    if payment_method is None:
        return NO_PAYMENT_METHOD
    decline = world.cards[payment_method["id"]].charge_decline
    charge = _charge(world, intent, payment_method, decline)
    intent["latest_charge"] = charge["id"]
    if decline is None:
        _succeed(world, intent, payment_method, charge)
    else:
        _fail(world, intent, payment_method, charge, decline)
    return decline


def _succeed(
    world: World, intent: StripeObject, payment_method: StripeObject, charge: StripeObject
) -> None:
    intent["amount_received"] = intent["amount"]
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
    error = decline.error().body()["error"]
    intent["last_payment_error"] = {
        **error,
        "charge": charge["id"],
        "payment_method": snapshot(payment_method),
    }
    intent["status"] = "requires_payment_method"
    world.events.emit("charge.failed", charge)
    world.events.emit("payment_intent.payment_failed", intent)


def cancel(world: World, intent: StripeObject) -> None:
    if intent["status"] in ("succeeded", "canceled"):
        return
    intent["status"] = "canceled"
    intent["canceled_at"] = world.clock.now()
    intent["cancellation_reason"] = "void_invoice"
    world.events.emit("payment_intent.canceled", intent)


def _charge(
    world: World, intent: StripeObject, payment_method: StripeObject, decline: Decline | None
) -> StripeObject:
    charge_id = ids.new("ch")
    amount = intent["amount"]
    return world.charges.add(
        {
            "id": charge_id,
            **blanks.fresh(blanks.CHARGE),
            "amount": amount,
            "amount_captured": 0 if decline else amount,
            "balance_transaction": None if decline else ids.new("txn"),
            "billing_details": payment_method["billing_details"],
            "captured": decline is None,
            "created": world.clock.now(),
            "currency": intent["currency"],
            "customer": intent["customer"],
            "description": intent["description"],
            "failure_code": decline.code if decline else None,
            "failure_message": decline.message if decline else None,
            "outcome": _outcome(decline),
            "paid": decline is None,
            "payment_intent": intent["id"],
            "payment_method": payment_method["id"],
            "payment_method_details": _details(payment_method),
            "receipt_url": None if decline else f"{world.base_url}/receipts/{charge_id}",
            "status": "failed" if decline else "succeeded",
        }
    )


def _outcome(decline: Decline | None) -> StripeObject:
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "declined_by_network" if decline else "approved_by_network",
        "reason": (decline.decline_code or decline.code) if decline else None,
        "risk_level": "normal",
        "risk_score": 20,
        "seller_message": decline.message if decline else "Payment complete.",
        "type": "issuer_declined" if decline else "authorized",
    }


def _details(payment_method: StripeObject) -> StripeObject:
    shown = ("brand", "checks", "country", "exp_month", "exp_year", "fingerprint", "funding")
    card = {name: payment_method["card"][name] for name in shown}
    card |= {"last4": payment_method["card"]["last4"], "three_d_secure": None, "wallet": None}
    return {"card": card, "type": "card"}
