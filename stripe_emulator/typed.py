"""Finding the test instrument behind what somebody typed, or behind a token."""

import re

from stripe_emulator import cards, debits
from stripe_emulator.errors import InvalidRequest
from stripe_emulator.instruments import Instrument

SEPARATORS = str.maketrans("", "", " -")
CARD_NUMBER = re.compile(r"[0-9]{12,19}")
BSB = re.compile(r"[0-9]{6}")
ACCOUNT_NUMBER = re.compile(r"[0-9]{5,9}")

BY_TOKEN: dict[str, Instrument] = {
    token: instrument
    for table in (cards.CARDS, debits.IBANS, debits.BECS_ACCOUNTS)
    for instrument in table
    for token in instrument.tokens
}


def card(number: str, param: str = "number") -> Instrument:
    digits = number.translate(SEPARATORS)
    if CARD_NUMBER.fullmatch(digits) is None or not _passes_luhn(digits):
        raise InvalidRequest("Your card number is incorrect.", code="incorrect_number", param=param)
    return _known(cards.BY_NUMBER.get(digits), "card", param)


def iban(text: str, param: str = "iban") -> Instrument:
    compact = text.translate(SEPARATORS).upper()
    if not debits.is_iban(compact):
        raise InvalidRequest("The IBAN you provided is invalid.", code="invalid_iban", param=param)
    return _known(debits.BY_IBAN.get(compact), "IBAN", param)


def becs(bsb: str, account_number: str, param: str = "") -> Instrument:
    """`param` is the object, such as `au_becs_debit`, that both were given in."""
    if BSB.fullmatch(bsb.translate(SEPARATORS)) is None:
        raise InvalidRequest(
            "The BSB you provided is invalid: it has six digits.",
            code="invalid_bsb_number",
            param=f"{param}[bsb_number]" if param else "bsb",
        )
    digits = account_number.translate(SEPARATORS)
    name = f"{param}[account_number]" if param else "account_number"
    if ACCOUNT_NUMBER.fullmatch(digits) is None:
        raise InvalidRequest(
            "The account number you provided is invalid: it has five to nine digits.",
            code="account_number_invalid",
            param=name,
        )
    at_test_bank = bsb.translate(SEPARATORS) == debits.TEST_BSB
    known = debits.BY_ACCOUNT_NUMBER.get(digits) if at_test_bank else None
    return _known(known, "account at this BSB", name)


def _known(instrument: Instrument | None, kind: str, param: str) -> Instrument:
    if instrument is None:
        raise InvalidRequest(f"This is no test {kind} that is known here.", param=param)
    return instrument


def _passes_luhn(digits: str) -> bool:
    doubled = [int(digit) * (1 + index % 2) for index, digit in enumerate(reversed(digits))]
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0  # noqa: PLR2004 -- digits
