"""What customers pay with in tests, and what each of these does when it is charged."""

from dataclasses import dataclass
from typing import Literal

from stripe_emulator.errors import CardDeclined

#: Whether the bank asks the customer: `first` until it was set up once, `present` whenever the
#: customer is there, `always` also when they are not.
Authentication = Literal["never", "first", "present", "always"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Decline:
    code: str
    decline_code: str | None
    message: str

    def error(self) -> CardDeclined:
        details = {"decline_code": self.decline_code}
        return CardDeclined(self.message, code=self.code, details=details)


@dataclass(frozen=True, kw_only=True, slots=True)
class Instrument:
    number: str
    #: What `pm_…` and `tok_…` stand for it in server-side tests.
    tokens: tuple[str, ...] = ()
    #: Refused already when it is put on file.
    attach_decline: Decline | None = None
    charge_decline: Decline | None = None
    authentication: Authentication = "never"

    @property
    def last4(self) -> str:
        return self.number[-4:]


@dataclass(frozen=True, kw_only=True, slots=True)
class Card(Instrument):
    brand: str = "visa"


@dataclass(frozen=True, kw_only=True, slots=True)
class Debit(Instrument):
    """A bank account: charges are on their way for a while before they succeed or fail."""

    type: Literal["sepa_debit", "au_becs_debit"]
    #: Minutes rather than as soon as the bank may answer.
    slow: bool = False
    #: The failure also ends the customer's permission to debit.
    ends_mandate: bool = False


def type_of(instrument: Instrument) -> str:
    return instrument.type if isinstance(instrument, Debit) else "card"


AUTHENTICATION_REQUIRED = Decline(
    code="authentication_required",
    decline_code="authentication_required",
    message="Your card was declined. This transaction requires authentication.",
)
AUTHENTICATION_FAILED = (
    "We are unable to authenticate your payment method. Please choose a different payment method "
    "and try again."
)
PAYMENT_AUTHENTICATION_FAILED = Decline(
    code="payment_intent_authentication_failure",
    decline_code=None,
    message=AUTHENTICATION_FAILED,
)
SETUP_AUTHENTICATION_FAILED = Decline(
    code="setup_intent_authentication_failure",
    decline_code=None,
    message=AUTHENTICATION_FAILED,
)
MANDATE_INVALID = Decline(
    code="payment_intent_mandate_invalid",
    decline_code=None,
    message="The mandate used for this payment is invalid. Please use a different payment method.",
)
