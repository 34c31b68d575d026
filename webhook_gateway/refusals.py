"""Why a request is refused, and with what status."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """What a refusal is counted as, and what its answer names."""

    MISSING_SIGNATURE = "missing_signature"
    MALFORMED_SIGNATURE = "malformed_signature"
    SIGNATURE_MISMATCH = "signature_mismatch"
    TIMESTAMP_TOO_OLD = "timestamp_too_old"
    TIMESTAMP_IN_THE_FUTURE = "timestamp_in_the_future"
    BODY_TOO_LARGE = "body_too_large"
    BODY_TOO_SLOW = "body_too_slow"
    BODY_CUT = "body_cut"
    NOT_JSON = "not_json"
    NOT_AN_EVENT = "not_an_event"
    OVERLOADED = "overloaded"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    NOT_STORED = "not_stored"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BAD_REQUEST = "bad_request"
    INTERNAL = "internal"


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """How a reason is answered."""

    status: int
    message: str
    #: Where to look. Given for what the operator has to know of: it raises an alarm.
    hint: str | None = None


REFUSALS = {
    Reason.MISSING_SIGNATURE: Refusal(
        status=400, message="The request has no Stripe-Signature header."
    ),
    Reason.MALFORMED_SIGNATURE: Refusal(
        status=400, message="The Stripe-Signature header is not one of Stripe's."
    ),
    Reason.SIGNATURE_MISMATCH: Refusal(
        status=400,
        message="The body was not signed with a secret that is known here.",
        hint="Compare PAIDUP_WEBHOOK_SECRETS with the webhook endpoint's signing secret at Stripe.",
    ),
    Reason.TIMESTAMP_TOO_OLD: Refusal(
        status=400,
        message="The signature is too old.",
        hint="The signature is right: either this machine's clock is fast, or it is a replay.",
    ),
    Reason.TIMESTAMP_IN_THE_FUTURE: Refusal(
        status=400,
        message="The signature is from the future.",
        hint="The signature is right: this machine's clock is slow.",
    ),
    Reason.BODY_TOO_LARGE: Refusal(status=413, message="The body is larger than 1 MiB."),
    Reason.BODY_TOO_SLOW: Refusal(status=408, message="The body did not arrive in time."),
    Reason.BODY_CUT: Refusal(status=400, message="The body did not arrive whole."),
    Reason.NOT_JSON: Refusal(status=400, message="The body is not JSON."),
    Reason.NOT_AN_EVENT: Refusal(
        status=400,
        message="The body is not an event.",
        hint="It was signed by Stripe; is the endpoint set to send thin events?",
    ),
    Reason.OVERLOADED: Refusal(
        status=503,
        message="Too much is waiting already.",
        hint="The database does not keep up with what Stripe sends.",
    ),
    Reason.TOO_MANY_CONNECTIONS: Refusal(
        status=503, message="Too many connections are working already."
    ),
    Reason.NOT_STORED: Refusal(
        status=503,
        message="The event could not be stored.",
        hint="/readyz tells what is wrong with the database.",
    ),
    Reason.NOT_FOUND: Refusal(status=404, message="There is nothing here."),
    Reason.METHOD_NOT_ALLOWED: Refusal(status=405, message="This takes other methods."),
    Reason.BAD_REQUEST: Refusal(status=400, message="The request is not understood."),
    Reason.INTERNAL: Refusal(status=500, message="The request failed; the log tells why."),
}


class Refused(Exception):
    """A request that is not taken."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(REFUSALS[reason].message)
        self.reason = reason
