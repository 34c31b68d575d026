"""The end of a Checkout Session that was paid, or whose payment is on its way."""

from stripe_emulator.attempts import Attempt
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World


def complete(world: World, session: StripeObject, attempt: Attempt) -> None:
    purchase = world.purchases[session["id"]]
    subscription = world.subscriptions[purchase.subscription_id or ""]
    customer = world.customers[subscription["customer"]]
    with world.events.updating("customer.updated", customer):
        customer["currency"] = subscription["currency"]
        customer["email"] = customer["email"] or purchase.email
    session.update(
        customer=customer["id"],
        customer_details=_customer_details(customer),
        invoice=subscription["latest_invoice"],
        payment_status=_payment_status(session, attempt),
        status="complete",
        subscription=subscription["id"],
        url=None,
    )
    world.events.emit("checkout.session.completed", session)


def _payment_status(session: StripeObject, attempt: Attempt) -> str:
    if session["amount_total"] == 0:
        return "no_payment_required"
    return "unpaid" if attempt.status == "processing" else "paid"


def _customer_details(customer: StripeObject) -> StripeObject:
    shown = ("address", "business_name", "email", "individual_name", "name", "phone", "tax_exempt")
    return {**{name: customer[name] for name in shown}, "tax_ids": []}


def debit_ended(world: World, invoice: StripeObject, attempt: Attempt) -> None:
    """Tell what became of a session whose payment was still on its way when it completed."""
    for session in world.checkout_sessions.where(invoice=invoice["id"], payment_status="unpaid"):
        if attempt.status == "succeeded":
            session["payment_status"] = "paid"
            world.events.emit("checkout.session.async_payment_succeeded", session)
        else:
            world.events.emit("checkout.session.async_payment_failed", session)
