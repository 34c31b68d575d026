"""How a Checkout Session's form is shown, and how it is read."""

from typing import Any, NamedTuple

from stripe_emulator import form_answers, instruments, typed_fields
from stripe_emulator.checkout_payment import Answers
from stripe_emulator.errors import InvalidRequest
from stripe_emulator.tables import StripeObject
from stripe_emulator.typed_fields import Incorrect

METHODS = {
    "card": "Card",
    "sepa_debit": "SEPA Direct Debit",
    "au_becs_debit": "BECS Direct Debit",
}
BUTTONS = {"book": "Book", "donate": "Donate", "pay": "Pay", "subscribe": "Subscribe"}


class Message(NamedTuple):
    title: str
    text: str


#: What there is instead of the form.
OVER = {
    "complete": Message("You're all done here", "This payment has already been made."),
    "expired": Message("This page has expired", "Go back to the shop to begin again."),
}


class TestAccount(NamedTuple):
    what: str
    shown: str
    fields: dict[str, str]


def _card(number: str, what: str) -> TestAccount:
    name = {"expiry": "12 / 34", "cvc": "123", "name": "Ada Lovelace"}
    shown = " ".join(number[index : index + 4] for index in range(0, len(number), 4))
    return TestAccount(what, shown, {"number": number, **name})


def _iban(iban: str, what: str) -> TestAccount:
    return TestAccount(what, iban, {"iban": iban, "name": "Ada Lovelace"})


def _becs(account_number: str, what: str) -> TestAccount:
    fields = {"bsb": "000000", "account_number": account_number, "name": "Ada Lovelace"}
    return TestAccount(what, f"000-000 {account_number}", fields)


#: A few of the many, to fill in by a click.
INSTRUMENTS = {
    "card": (
        _card("4242424242424242", "Succeeds"),
        _card("4000002500003155", "Asks for 3D Secure"),
        _card("4000000000009995", "Insufficient funds"),
        _card("4000000000000341", "Succeeds in a trial, fails when charged"),
    ),
    "sepa_debit": (
        _iban("AT611904300234573201", "Succeeds"),
        _iban("AT321904300235473204", "Succeeds after three minutes"),
        _iban("AT861904300235473202", "Fails"),
    ),
    "au_becs_debit": (
        _becs("000123456", "Succeeds"),
        _becs("900123456", "Succeeds after three minutes"),
        _becs("111111113", "Fails: account closed"),
    ),
}


def of(form: StripeObject) -> StripeObject:
    """Give what a page shows beside the bare facts."""
    recurring = [item for item in form["line_items"] if item["interval"]]
    types = form["payment_method_types"]
    return {
        "methods": {kind: METHODS[kind] for kind in types if kind in METHODS},
        "instruments": INSTRUMENTS,
        "recurring": recurring,
        "recurring_amount": sum(item["amount_subtotal"] for item in recurring),
        "has_trial": form["trial_end"] is not None,
        "button": "Start trial" if form["trial_end"] else BUTTONS.get(form["submit_type"], "Pay"),
    }


def answers(form: StripeObject, typed: dict[str, Any], now: int) -> Answers:
    """Read the form; Incorrect if it is not filled in correctly."""
    problems = typed_fields.email_problems(typed) if form["asks_for_email"] else {}
    if form["terms_of_service_required"]:
        problems |= typed_fields.blanks(typed, ("terms",))
    try:
        instrument = _instrument(form, typed, now)
    except Incorrect as error:
        raise Incorrect(problems | error.problems) from error
    if problems:
        raise Incorrect(problems)
    return Answers(
        email=form_answers.text(typed, "email") if form["asks_for_email"] else None,
        instrument=instrument,
        name=form_answers.text(typed, "name"),
    )


def _instrument(
    form: StripeObject, typed: dict[str, Any], now: int
) -> instruments.Instrument | None:
    if not form["asks_for_payment"]:
        return None
    method = typed.get("method")
    if method not in form["payment_method_types"] or method not in METHODS:
        raise InvalidRequest("Choose a payment method.", param="method")
    return typed_fields.instrument(typed, method, now)


def redirect_of(form: StripeObject) -> str | None:
    """Say where the customer goes after paying; null where the merchant's page goes on itself."""
    if form["ui_mode"] == "hosted_page":
        address: str | None = form["success_url"]
        return address
    # No payment method here leads the customer away, so `if_required` requires nothing.
    return form["return_url"] if form["redirect_on_completion"] == "always" else None
