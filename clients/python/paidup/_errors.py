"""What can go wrong with a call, by what the caller can do about it.

PaidupError
├── InvalidRequest          correct the request
├── PermissionDenied        call as somebody else, or ask for the right
│   └── Unauthenticated     prove who calls: the token or certificate was not accepted
├── NotFound                name something that exists
├── Conflict                what is there already stands against it
│   ├── AlreadySubscribed   send the customer to the portal, not to the checkout
│   └── SubscriptionAmbiguous   name the subscription
├── Unavailable             try again later
│   └── DeadlineExceeded    likewise, but it may have been done all the same
└── ServiceFault            tell whoever runs the service

The reason decides where there is a class for it, the code everywhere else, so a
reason that a newer service adds still ends in the right branch.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Protocol, cast

from grpc import StatusCode

from paidup import _error_details
from paidup._error_details import FieldViolation
from paidup.v1.error_reason_pb2 import (
    ERROR_REASON_ALREADY_SUBSCRIBED,
    ERROR_REASON_STRIPE_MISCONFIGURED,
    ERROR_REASON_SUBSCRIPTION_AMBIGUOUS,
    ERROR_REASON_UNSPECIFIED,
    ErrorReason,
)


class PaidupError(Exception):
    """A call failed. Its text is the service's, made for people and not for matching."""

    def __init__(
        self,
        message: str,
        *,
        code: StatusCode = StatusCode.UNKNOWN,
        reason: ErrorReason = ERROR_REASON_UNSPECIFIED,
        reason_name: str = "",
        metadata: Mapping[str, str] | None = None,
        field_violations: Iterable[FieldViolation] = (),
        retry_delay: timedelta | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        #: Unspecified where the service gave none, or one newer than this client.
        self.reason = reason
        #: The reason as it was sent, such as `ERROR_REASON_OVERLOADED`; empty without one.
        self.reason_name = reason_name
        #: What the reason is about, such as `subscription_id`. Each reason's keys
        #: are told beside it in `error_reason.proto`.
        self.metadata = dict(metadata or {})
        self.field_violations = tuple(field_violations)
        #: How long to wait before trying again; None where the service did not say.
        self.retry_delay = retry_delay


class InvalidRequest(PaidupError):
    """The request breaks a rule. `field_violations` tells which, where a field does."""


class PermissionDenied(PaidupError):
    """The caller may not make this call."""


class Unauthenticated(PermissionDenied):
    """The service could not tell who calls: no token, or one that it does not accept."""


class NotFound(PaidupError):
    """The service or Stripe knows nothing by that id. Not what a check of an account gives."""


class Conflict(PaidupError):
    """The request is sound, but what is there already stands against it."""


class AlreadySubscribed(Conflict):
    """The account pays for the product. `metadata` has `subscription_id` and `product_id`."""


class SubscriptionAmbiguous(Conflict):
    """The account has several live subscriptions, so the request must name one."""


class Unavailable(PaidupError):
    """The service, or Stripe behind it, cannot answer now. The same call may succeed later."""


class DeadlineExceeded(Unavailable):
    """No answer came in time. What was asked for may have been done nevertheless."""


class ServiceFault(PaidupError):
    """Something is wrong with the service or its settings that no caller can mend."""


CLASS_OF_REASON: Mapping[int, type[PaidupError]] = {
    ERROR_REASON_ALREADY_SUBSCRIBED: AlreadySubscribed,
    ERROR_REASON_SUBSCRIPTION_AMBIGUOUS: SubscriptionAmbiguous,
    ERROR_REASON_STRIPE_MISCONFIGURED: ServiceFault,
}

#: Every other code is a `ServiceFault`.
CLASS_OF_CODE: Mapping[StatusCode, type[PaidupError]] = {
    StatusCode.INVALID_ARGUMENT: InvalidRequest,
    StatusCode.OUT_OF_RANGE: InvalidRequest,
    StatusCode.UNAUTHENTICATED: Unauthenticated,
    StatusCode.PERMISSION_DENIED: PermissionDenied,
    StatusCode.NOT_FOUND: NotFound,
    StatusCode.ALREADY_EXISTS: Conflict,
    StatusCode.FAILED_PRECONDITION: Conflict,
    StatusCode.UNAVAILABLE: Unavailable,
    StatusCode.RESOURCE_EXHAUSTED: Unavailable,
    StatusCode.ABORTED: Unavailable,
    # A proxy or server that goes away cancels what it had begun.
    StatusCode.CANCELLED: Unavailable,
    StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
}


class FailedCall(Protocol):
    """What the errors of both of gRPC's transports have in common."""

    def code(self) -> StatusCode: ...

    def details(self) -> str | None: ...

    def trailing_metadata(self) -> Iterable[Any] | None: ...


def from_grpc(failed: FailedCall) -> PaidupError:
    """Make the exception that tells a caller what gRPC told us."""
    code = failed.code()
    details = _error_details.decode(failed.trailing_metadata())
    reason = _reason(details.reason)
    error_class = CLASS_OF_REASON.get(reason) or CLASS_OF_CODE.get(code, ServiceFault)
    return error_class(
        failed.details() or code.name,
        code=code,
        reason=reason,
        reason_name=details.reason,
        metadata=details.metadata,
        field_violations=details.field_violations,
        retry_delay=details.retry_delay,
    )


def _reason(name: str) -> ErrorReason:
    return cast("ErrorReason", dict(ErrorReason.items()).get(name, ERROR_REASON_UNSPECIFIED))
