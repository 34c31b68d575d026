"""What came of trying to take a payment."""

from dataclasses import dataclass
from typing import Literal

from stripe_emulator.instruments import Decline


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    #: A debit is `processing` for a while; `requires_action` waits for the customer.
    status: Literal["succeeded", "processing", "requires_action", "failed"]
    decline: Decline | None = None
    #: Made by Stripe itself, without the customer.
    automatic: bool = False
    #: The end of what was `processing`, and counted as an attempt when that began.
    late: bool = False


SUCCEEDED = Attempt(status="succeeded")


def failed(decline: Decline) -> Attempt:
    return Attempt(status="failed", decline=decline)
