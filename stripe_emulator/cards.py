"""The test cards, as a table to add rows to."""

from stripe_emulator.instruments import Card, Decline


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


def _refused(number: str, decline: Decline, *names: str) -> Card:
    return Card(
        number=number, tokens=_tokens(*names), attach_decline=decline, charge_decline=decline
    )


def _tokens(*names: str) -> tuple[str, ...]:
    return tuple(f"{prefix}_{name}" for name in names for prefix in ("pm_card", "tok"))


CARDS = (
    Card(number="4242424242424242", tokens=_tokens("visa")),
    Card(number="5555555555554444", brand="mastercard", tokens=_tokens("mastercard")),
    Card(number="378282246310005", brand="amex", tokens=_tokens("amex")),
    Card(
        number="4000002500003155",
        tokens=_tokens("authenticationRequiredOnSetup"),
        authentication="first",
    ),
    Card(
        number="4000002760003184",
        tokens=_tokens("authenticationRequired"),
        authentication="always",
    ),
    Card(number="4000003800000446", authentication="present"),
    Card(
        number="4000000000003220",
        tokens=_tokens("threeDSecure2Required"),
        authentication="present",
    ),
    Card(
        number="4000000000003063",
        tokens=_tokens("threeDSecureRequired"),
        authentication="present",
    ),
    Card(
        number="4000008400001629",
        tokens=_tokens("threeDSecureRequiredChargeDeclined"),
        authentication="present",
        charge_decline=GENERIC,
    ),
    Card(
        number="4000000000000341",
        tokens=_tokens("chargeCustomerFail"),
        charge_decline=GENERIC,
    ),
    _refused("4000000000000002", GENERIC, "chargeDeclined"),
    _refused("4000000000009995", INSUFFICIENT_FUNDS, "chargeDeclinedInsufficientFunds"),
    _refused("4000000000009987", LOST, "chargeDeclinedLostCard"),
    _refused("4000000000009979", STOLEN, "chargeDeclinedStolenCard"),
    _refused("4000000000006975", VELOCITY, "chargeDeclinedVelocityLimitExceeded"),
    _refused("4000000000000069", EXPIRED, "chargeDeclinedExpiredCard"),
    _refused("4000000000000127", INCORRECT_CVC, "chargeDeclinedIncorrectCvc"),
    _refused("4000000000000119", PROCESSING_ERROR, "chargeDeclinedProcessingError"),
)
BY_NUMBER = {card.number: card for card in CARDS}
