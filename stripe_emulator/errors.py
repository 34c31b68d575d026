"""Stripe's refusals, each named for the fact; `StripeError.body` is the one shape they share."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

TOO_MANY_REQUESTS = 429


class StripeError(Exception):
    status: int = 400
    type: str = "invalid_request_error"
    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        details: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param
        self.details = details

    def body(self) -> dict[str, Any]:
        fields = {
            "type": self.type,
            "message": self.message,
            "code": self.code,
            "param": self.param,
            "doc_url": self._doc_url(),
            **self.details,
        }
        # Stripe omits what is null here, unlike in every other object.
        return {"error": {name: value for name, value in fields.items() if value is not None}}

    def _doc_url(self) -> str | None:
        if self.code is None:
            return None
        return f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}"


class InvalidRequest(StripeError):
    """The request makes no sense, whatever the state."""


class InvalidParameters(InvalidRequest):
    """Refused before the endpoint began, so no idempotency key remembers it."""


class FaultAskedFor(StripeError):
    """Not Stripe's doing: a fault knob is on."""

    type = "api_error"

    def __init__(self, status: int) -> None:
        super().__init__("A fault was asked for.")
        self.status = status
        if status == TOO_MANY_REQUESTS:
            self.type, self.code = "invalid_request_error", "rate_limit"
            # Stripe names the limit, and sends no Retry-After.
            self.headers = {"Stripe-Rate-Limited-Reason": "global-rate"}


class UnsupportedByEmulator(InvalidRequest):
    """Stripe could do it; better to say so than to ignore it in silence."""

    def __init__(self, param: str) -> None:
        super().__init__(f"The emulator does not support `{param}`.", param=param)


class MissingParameter(InvalidParameters):
    def __init__(self, param: str) -> None:
        super().__init__(f"Missing required param: {param}.", code="parameter_missing", param=param)


class ReferenceMissing(StripeError):
    def __init__(self, label: str, object_id: str, param: str) -> None:
        super().__init__(f"No such {label}: '{object_id}'", code="resource_missing", param=param)


class ResourceMissing(ReferenceMissing):
    status = 404

    def __init__(self, label: str, object_id: str) -> None:
        super().__init__(label, object_id, "id")


class UnrecognizedUrl(StripeError):
    status = 404

    def __init__(self, method: str, path: str) -> None:
        super().__init__(
            f"Unrecognized request URL ({method}: {path}). "
            "Please see https://stripe.com/docs or we can help at https://support.stripe.com/."
        )


class MethodNotAllowed(UnrecognizedUrl):
    status = 405


class BodyTooLarge(StripeError):
    status = 413

    def __init__(self) -> None:
        super().__init__("The request's body is too large.")


class Unauthenticated(StripeError):
    status = 401


class ForeignPage(StripeError):
    """Not Stripe's doing: a page of another origin tried to press a button of the emulator's."""

    status = 403

    def __init__(self) -> None:
        super().__init__("The emulator takes no orders from web pages of another origin.")


class PortalLinkExpired(StripeError):
    status = 410

    def __init__(self) -> None:
        super().__init__(
            "This link to the customer portal was used before or is too old. "
            "Go back to where you came from to get a new one."
        )


class CardDeclined(StripeError):
    status = 402
    type = "card_error"


class IdempotencyMismatch(StripeError):
    type = "idempotency_error"

    def __init__(self, key: str) -> None:
        super().__init__(
            "Keys for idempotent requests can only be used with the same parameters they were "
            f"first used with. Try using a key other than '{key}' if you meant to execute a "
            "different request."
        )


class IdempotencyKeyInUse(StripeError):
    status = 409
    type = "idempotency_error"

    def __init__(self, key: str) -> None:
        super().__init__(
            "There is currently another in-progress request using this Idempotency Key: "
            f"{key}. Please try again later.",
            code="idempotency_key_in_use",
        )


class InternalError(StripeError):
    status = 500
    type = "api_error"

    def __init__(self) -> None:
        super().__init__("An unknown error occurred in the emulator; its log says more.")
