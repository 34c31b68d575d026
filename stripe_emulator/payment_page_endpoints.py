"""
How Stripe's command line fills in a Checkout Session's form: `stripe trigger`.

Stripe does not document these two calls. They are here as the command line makes them, and
answer with the session.
"""

from typing import Required, TypedDict

from stripe_emulator import checkout_payment
from stripe_emulator.checkout_payment import Answers
from stripe_emulator.errors import CardDeclined, InvalidRequest, UnsupportedByEmulator
from stripe_emulator.parameters import Params
from stripe_emulator.routing import get, post
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World

URL = "/v1/payment_pages/{session}"


class ConfirmParams(TypedDict, total=False):
    payment_method: Required[str]
    expected_amount: int
    expand: list[str]


def retrieve(world: World, _params: Params, session: str) -> StripeObject:
    return world.checkout_sessions.retrieve(session)


def confirm(world: World, params: Params, session: str) -> StripeObject:
    row = world.checkout_sessions.retrieve(session)
    if params.get("expected_amount", row["amount_total"]) != row["amount_total"]:
        raise InvalidRequest(
            f"The amount is {row['amount_total']} by now.", param="expected_amount"
        )
    payment_method = world.payment_methods.referenced(params["payment_method"], "payment_method")
    details = payment_method["billing_details"]
    answers = Answers(
        email=details["email"],
        name=details["name"],
        instrument=world.instruments[payment_method["id"]],
    )
    _report(checkout_payment.pay(world, row, answers))
    return row


def _report(outcome: checkout_payment.Outcome) -> None:
    if outcome.outcome == "declined":
        raise CardDeclined(
            outcome.message or "Your card was declined.",
            code=outcome.code,
            details={"decline_code": outcome.decline_code},
        )
    if outcome.outcome == "requires_action":
        raise UnsupportedByEmulator("payment_pages with what asks the bank first")


ROUTES = (
    get(URL, retrieve),
    post(f"{URL}/confirm", confirm, ConfirmParams),
)
