"""Reading what a payment form was filled in with, from the body of a control call."""

from collections.abc import Callable
from typing import Any

from stripe_emulator import typed
from stripe_emulator.checkout_payment import Answers
from stripe_emulator.errors import InvalidRequest
from stripe_emulator.instruments import Instrument

Body = dict[str, Any]

#: The fields that name an instrument; the form takes one kind at a time.
READERS: dict[tuple[str, ...], Callable[..., Instrument]] = {
    ("number",): typed.card,
    ("iban",): typed.iban,
    ("bsb", "account_number"): typed.becs,
}
LONGEST = 500


def read(body: Body) -> Answers:
    return Answers(
        email=text(body, "email"),
        instrument=instrument(body),
        name=text(body, "name"),
        authenticate=flag_or_null(body, "authenticate"),
        promotion_code=text(body, "promotion_code"),
    )


def instrument(body: Body) -> Instrument | None:
    """Find the test instrument that is named; null where none is."""
    given = [kind for kind in READERS if any(body.get(name) is not None for name in kind)]
    if not given:
        return None
    if len(given) > 1:
        raise InvalidRequest("Give one of `number`, `iban`, and `bsb` with `account_number`.")
    return READERS[given[0]](*[_required(body, name) for name in given[0]])


def _required(body: Body, name: str) -> str:
    value = text(body, name)
    if value is None:
        raise InvalidRequest(f"The form asks for `{name}` too.", param=name)
    return value


def text(body: Body, name: str) -> str | None:
    value = body.get(name)
    if value is not None and (not isinstance(value, str) or len(value) > LONGEST):
        raise InvalidRequest(
            f"`{name}` takes a string of at most {LONGEST} characters.", param=name
        )
    return value or None


def flag_or_null(body: Body, name: str) -> bool | None:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidRequest(f"`{name}` takes true, false or null.", param=name)
    return value
