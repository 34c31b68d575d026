"""What a Checkout Session's form asks for, and what it knows already."""

from stripe_emulator.errors import InvalidRequest
from stripe_emulator.instruments import Instrument, type_of
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World


def check(
    world: World, session: StripeObject, *, email: str | None, instrument: Instrument | None
) -> None:
    """Refuse answers that leave out what the form asks for, or that it does not offer."""
    if instrument is None and not payment_method_is_optional(session):
        raise InvalidRequest("The form asks for a card: give its `number`.", param="number")
    if instrument and type_of(instrument) not in session["payment_method_types"]:
        raise InvalidRequest(
            f"This Checkout Session cannot be paid by {type_of(instrument)}.",
            param="payment_method_type",
        )
    if known_email(world, session) is None and email is None:
        raise InvalidRequest("The form asks for an e-mail address.", param="email")


def payment_method_is_optional(session: StripeObject) -> bool:
    free = bool(session["amount_total"] == 0)
    return free and session["payment_method_collection"] == "if_required"


def known_email(world: World, session: StripeObject) -> str | None:
    """Give the address that the form need not ask for."""
    customer = world.customers.find(world.purchases[session["id"]].customer_id)
    known: str | None = customer.get("email") if customer else None
    return known or session["customer_email"]
