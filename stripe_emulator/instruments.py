"""The test cards: what each one does, as a table to add rows to."""

from dataclasses import dataclass

from stripe_emulator.errors import CardDeclined


@dataclass(frozen=True, kw_only=True, slots=True)
class Decline:
    code: str
    decline_code: str | None
    message: str

    def error(self) -> CardDeclined:
        details = {"decline_code": self.decline_code}
        return CardDeclined(self.message, code=self.code, details=details)


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    number: str
    brand: str = "visa"
    #: What `pm_…` and `tok_…` stand for this card in server-side tests.
    tokens: tuple[str, ...] = ()
    #: Refused already when it is put on file.
    attach_decline: Decline | None = None
    charge_decline: Decline | None = None

    @property
    def last4(self) -> str:
        return self.number[-4:]


def _decline(decline_code: str, message: str = "Your card was declined.") -> Decline:
    return Decline(code="card_declined", decline_code=decline_code, message=message)


GENERIC = _decline("generic_decline")
INSUFFICIENT_FUNDS = _decline("insufficient_funds", "Your card has insufficient funds.")
LOST = _decline("lost_card")
STOLEN = _decline("stolen_card")
VELOCITY = _decline("card_velocity_exceeded")
EXPIRED = Decline(code="expired_card", decline_code=None, message="Your card has expired.")
INCORRECT_CVC = Decline(
    code="incorrect_cvc",
    decline_code=None,
    message="Your card's security code is incorrect.",
)
PROCESSING_ERROR = Decline(
    code="processing_error",
    decline_code=None,
    message="An error occurred while processing your card. Try again in a little bit.",
)


def _refused(number: str, decline: Decline, *tokens: str) -> Card:
    return Card(number=number, tokens=tokens, attach_decline=decline, charge_decline=decline)


CARDS = (
    Card(number="4242424242424242", tokens=("pm_card_visa", "tok_visa")),
    Card(number="5555555555554444", brand="mastercard", tokens=("pm_card_mastercard",)),
    Card(number="378282246310005", brand="amex", tokens=("pm_card_amex",)),
    Card(
        number="4000000000000341",
        tokens=("pm_card_chargeCustomerFail", "tok_chargeCustomerFail"),
        charge_decline=GENERIC,
    ),
    _refused("4000000000000002", GENERIC, "pm_card_chargeDeclined", "tok_chargeDeclined"),
    _refused("4000000000009995", INSUFFICIENT_FUNDS, "pm_card_chargeDeclinedInsufficientFunds"),
    _refused("4000000000009987", LOST),
    _refused("4000000000009979", STOLEN),
    _refused("4000000000006975", VELOCITY),
    _refused("4000000000000069", EXPIRED, "pm_card_chargeDeclinedExpiredCard"),
    _refused("4000000000000127", INCORRECT_CVC, "pm_card_chargeDeclinedIncorrectCvc"),
    _refused("4000000000000119", PROCESSING_ERROR, "pm_card_chargeDeclinedProcessingError"),
)

BY_NUMBER = {card.number: card for card in CARDS}
BY_TOKEN = {token: card for card in CARDS for token in card.tokens}


def by_number(number: str) -> Card | None:
    return BY_NUMBER.get(number.replace(" ", "").replace("-", ""))
