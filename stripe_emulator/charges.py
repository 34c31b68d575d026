from stripe_emulator import blanks, ids, payment_method_details
from stripe_emulator.instruments import Decline
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World


def add(
    world: World,
    intent: StripeObject,
    payment_method: StripeObject,
    status: str,
    decline: Decline | None = None,
) -> StripeObject:
    # Stripe names what is not a card's charge differently.
    charge_id = ids.new("ch" if payment_method["type"] == "card" else "py")
    amount = intent["amount"]
    return world.charges.add(
        {
            "id": charge_id,
            **blanks.fresh(blanks.CHARGE),
            "amount": amount,
            "billing_details": payment_method["billing_details"],
            "created": world.clock.now(),
            "currency": intent["currency"],
            "customer": intent["customer"],
            "description": intent["description"],
            "payment_intent": intent["id"],
            "payment_method": payment_method["id"],
            "payment_method_details": payment_method_details.of_charge(world, payment_method),
            "receipt_url": None if decline else f"{world.base_url}/receipts/{charge_id}",
            **_result(amount, status, decline),
        }
    )


def settle(charge: StripeObject, decline: Decline | None) -> None:
    """Conclude a pending charge."""
    status = "succeeded" if decline is None else "failed"
    charge.update(_result(charge["amount"], status, decline))


def _result(amount: int, status: str, decline: Decline | None) -> StripeObject:
    succeeded = status == "succeeded"
    return {
        "amount_captured": amount if succeeded else 0,
        "balance_transaction": ids.new("txn") if succeeded else None,
        "captured": succeeded,
        "failure_code": decline.code if decline else None,
        "failure_message": decline.message if decline else None,
        "outcome": _outcome(decline),
        "paid": succeeded,
        "status": status,
    }


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
