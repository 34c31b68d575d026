"""What people typed into a form of ours, looked through before anything is done with it."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from stripe_emulator import form_answers
from stripe_emulator.errors import InvalidRequest
from stripe_emulator.instruments import Instrument

#: What each payment method asks for; the first ones are the instrument itself.
FIELDS = {
    "card": ("number", "expiry", "cvc", "name"),
    "sepa_debit": ("iban", "name"),
    "au_becs_debit": ("bsb", "account_number", "name"),
}
INSTRUMENT_FIELDS = frozenset({"number", "iban", "bsb", "account_number"})
BLANK = {
    "number": "Your card number is incomplete.",
    "expiry": "Your card's expiration date is incomplete.",
    "cvc": "Your card's security code is incomplete.",
    "iban": "The IBAN you entered is incomplete.",
    "bsb": "The BSB you entered is incomplete.",
    "account_number": "The account number you entered is incomplete.",
    "name": "Enter the name of the account's holder.",
    "email": "Enter your e-mail address.",
    "terms": "Please accept the terms to go on.",
}
EXPIRY = re.compile(r"(0[1-9]|1[0-2]) ?/ ?([0-9]{2})")
CVC = re.compile(r"[0-9]{3,4}")
AMEX = re.compile(r"3[47]")
#: How far ahead a card's end can be.
MOST_YEARS = 50
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class Incorrect(Exception):
    """`problems` says by field what is wrong with it."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__("The form is not filled in correctly.")
        self.problems = problems


def instrument(typed: Mapping[str, Any], method: str, now: int) -> Instrument | None:
    """Read the payment method's fields; Incorrect if any of them cannot be right."""
    problems = blanks(typed, FIELDS[method])
    problems |= _card_problems(typed, now) if method == "card" and not problems else {}
    if problems:
        raise Incorrect(problems)
    given = {name: typed[name] for name in FIELDS[method] if name in INSTRUMENT_FIELDS}
    try:
        return form_answers.instrument(given)
    except InvalidRequest as error:
        raise Incorrect({error.param or FIELDS[method][0]: error.message}) from error


def blanks(typed: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, str]:
    return {name: BLANK[name] for name in names if not _text(typed, name)}


def email_problems(typed: Mapping[str, Any]) -> dict[str, str]:
    if EMAIL.fullmatch(_text(typed, "email")):
        return {}
    return {"email": "Your email is invalid." if _text(typed, "email") else BLANK["email"]}


def _text(typed: Mapping[str, Any], name: str) -> str:
    value = typed.get(name)
    return value.strip() if isinstance(value, str) else ""


def _card_problems(typed: Mapping[str, Any], now: int) -> dict[str, str]:
    problems = {"expiry": _expiry_problem(typed, now), "cvc": _cvc_problem(typed)}
    return {name: problem for name, problem in problems.items() if problem is not None}


def _expiry_problem(typed: Mapping[str, Any], now: int) -> str | None:
    found = EXPIRY.fullmatch(_text(typed, "expiry"))
    if found is None:
        return BLANK["expiry"]
    today = datetime.fromtimestamp(now, UTC)
    month, year = int(found[1]), today.year - today.year % 100 + int(found[2])
    if (year, month) < (today.year, today.month):
        return "Your card's expiration date is in the past."
    if year > today.year + MOST_YEARS:
        return "Your card's expiration year is invalid."
    return None


def _cvc_problem(typed: Mapping[str, Any]) -> str | None:
    code = _text(typed, "cvc")
    digits = 4 if AMEX.match(_text(typed, "number")) else 3
    if CVC.fullmatch(code) is None or len(code) < digits:
        return BLANK["cvc"]
    return None
