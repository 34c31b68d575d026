"""What callers are told, one class a fact. Knows nothing of gRPC.

    BillingError
    ├── InvalidRequest           fields break their rules
    ├── UrlNotAllowed            a URL's origin is not among those allowed
    ├── InvalidToken             not a revision or page token of this service
    ├── PriceNotFound            Stripe knows no such price
    ├── SessionNotFound          no such Checkout Session of this account
    ├── CustomerNotFound         the account has no Stripe customer yet, or Stripe knows no such one
    ├── CustomerLinked           the customer or the account is tied to another
    ├── EventNotFound            no such event
    ├── GrantNotFound            no such grant
    ├── AlreadySubscribed        the account pays for it already
    ├── SubscriptionAmbiguous    several live subscriptions: name one
    ├── RequestIdReused          the request id was used with other parameters
    ├── StripeMisconfigured      Stripe refused our key or settings
    ├── Unauthenticated          nobody could be made out who calls
    ├── MethodNotAllowed         the caller may not call this method
    ├── AccountNotAllowed        the caller may not act for this account
    └── RetryLater               the same call may succeed later
        ├── StripeUnavailable
        ├── StateNotAvailable
        ├── RevisionNotReached
        └── Overloaded

The `reason` of each is a value of the contract's `ErrorReason`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import accumulate
from typing import ClassVar, TypeVar

T = TypeVar("T")

#: Of violations, in the details and in the message, in bytes. Clients take 8 KiB in
#: all and drop the call at more; the message goes into both, and into one of them threefold.
MOST_TOLD = 3000
MOST_NAMED = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Violation:
    """One field that breaks its rule."""

    #: The field's path, such as `line_items[0].quantity`.
    field: str
    description: str


class BillingError(Exception):
    """Base of all errors that callers are told about; the text is for them."""

    #: A name of `grpc.StatusCode`.
    code: ClassVar[str]
    reason: ClassVar[str]

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.metadata = metadata
        self.violations: tuple[Violation, ...] = ()
        self.retry_delay: timedelta | None = None


class InvalidRequest(BillingError):
    code = "INVALID_ARGUMENT"
    reason = "ERROR_REASON_INVALID_REQUEST"

    def __init__(self, *violations: Violation) -> None:
        told = _fitting(violations, lambda each: each.field + each.description, MOST_TOLD)
        names = tuple(dict.fromkeys(each.field for each in violations))
        named = _fitting(names, str, MOST_NAMED)
        more = f" and {len(names) - len(named)} more" if len(names) > len(named) else ""
        super().__init__(f"The request breaks the rules of: {', '.join(named)}{more}.")
        self.violations = told


def _fitting(items: Sequence[T], text: Callable[[T], str], most: int) -> tuple[T, ...]:
    """Give the first items, as many as have so many bytes of text together."""
    sizes = accumulate(len(text(item).encode()) for item in items)
    return tuple(item for item, size in zip(items, sizes, strict=True) if size <= most)


class UrlNotAllowed(BillingError):
    code = "INVALID_ARGUMENT"
    reason = "ERROR_REASON_URL_NOT_ALLOWED"

    def __init__(self, field: str) -> None:
        super().__init__(f"The origin of {field} is not one that this service allows.", field=field)
        self.violations = (Violation(field=field, description="Its origin is not allowed."),)


class InvalidToken(BillingError):
    code = "INVALID_ARGUMENT"
    reason = "ERROR_REASON_INVALID_TOKEN"

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} is not a token of this service.", field=field)
        self.violations = (Violation(field=field, description="Not a token of this service."),)


class PriceNotFound(BillingError):
    code = "NOT_FOUND"
    reason = "ERROR_REASON_PRICE_NOT_FOUND"

    def __init__(self, price: str) -> None:
        super().__init__(f"Stripe knows no active price {price}.", price=price)


class SessionNotFound(BillingError):
    code = "NOT_FOUND"
    reason = "ERROR_REASON_SESSION_NOT_FOUND"

    def __init__(self, session_id: str) -> None:
        super().__init__("The account has no such Checkout Session.", session_id=session_id)


class CustomerNotFound(BillingError):
    code = "NOT_FOUND"
    reason = "ERROR_REASON_CUSTOMER_NOT_FOUND"

    def __init__(self, account_id: str) -> None:
        super().__init__("The account has no Stripe customer yet.", account_id=account_id)

    @classmethod
    def at_stripe(cls, account_id: str, customer_id: str) -> "CustomerNotFound":
        """Make the error of a customer that was named, and that Stripe does not know."""
        error = cls(account_id)
        error.args = ("Stripe knows no such customer.",)
        error.metadata["customer_id"] = customer_id
        return error


class CustomerLinked(BillingError):
    code = "ALREADY_EXISTS"
    reason = "ERROR_REASON_CUSTOMER_LINKED"

    def __init__(self, account_id: str, customer_id: str) -> None:
        super().__init__(
            "One of them is tied to another: the metadata tells what is tied to what.",
            account_id=account_id,
            customer_id=customer_id,
        )


class EventNotFound(BillingError):
    code = "NOT_FOUND"
    reason = "ERROR_REASON_EVENT_NOT_FOUND"

    def __init__(self, event_id: str) -> None:
        super().__init__("No such event is stored.", event_id=event_id)


class GrantNotFound(BillingError):
    code = "NOT_FOUND"
    reason = "ERROR_REASON_GRANT_NOT_FOUND"

    def __init__(self, grant_id: str) -> None:
        super().__init__("There is no such grant.", grant_id=grant_id)


class AlreadySubscribed(BillingError):
    code = "FAILED_PRECONDITION"
    reason = "ERROR_REASON_ALREADY_SUBSCRIBED"

    def __init__(self, *, subscription_id: str, product_id: str) -> None:
        super().__init__(
            "The account already holds a live subscription to this product.",
            subscription_id=subscription_id,
            product_id=product_id,
        )


class SubscriptionAmbiguous(BillingError):
    code = "FAILED_PRECONDITION"
    reason = "ERROR_REASON_SUBSCRIPTION_AMBIGUOUS"

    def __init__(self, account_id: str) -> None:
        super().__init__(
            "The account has several live subscriptions: name one.", account_id=account_id
        )


class RequestIdReused(BillingError):
    code = "ALREADY_EXISTS"
    reason = "ERROR_REASON_REQUEST_ID_REUSED"

    def __init__(self, request_id: str) -> None:
        super().__init__(
            "The request id was used before with other parameters.", request_id=request_id
        )


class StripeMisconfigured(BillingError):
    code = "FAILED_PRECONDITION"
    reason = "ERROR_REASON_STRIPE_MISCONFIGURED"

    def __init__(self) -> None:
        super().__init__(
            "Stripe refused the service's key or settings; its operator's log says why."
        )


class Unauthenticated(BillingError):
    """The text says what is wrong with what was shown, and repeats nothing of it."""

    code = "UNAUTHENTICATED"
    reason = "ERROR_REASON_UNAUTHENTICATED"


class MethodNotAllowed(BillingError):
    code = "PERMISSION_DENIED"
    reason = "ERROR_REASON_METHOD_NOT_ALLOWED"

    def __init__(self, *, caller: str, method: str) -> None:
        super().__init__(f"The caller may not call {method}.", caller=caller, method=method)


class AccountNotAllowed(BillingError):
    code = "PERMISSION_DENIED"
    reason = "ERROR_REASON_ACCOUNT_NOT_ALLOWED"

    def __init__(self, *, caller: str, method: str) -> None:
        super().__init__(
            f"The caller may call {method} for accounts of its own only, and has to name them.",
            caller=caller,
            method=method,
        )


class RetryLater(BillingError):
    """The same call may succeed after `retry_delay`."""

    code = "UNAVAILABLE"
    message: ClassVar[str]
    delay: ClassVar[timedelta] = timedelta(seconds=1)

    def __init__(self, delay: timedelta | None = None) -> None:
        super().__init__(self.message)
        self.retry_delay = delay or self.delay


class StripeUnavailable(RetryLater):
    reason = "ERROR_REASON_STRIPE_UNAVAILABLE"
    message = "Stripe did not answer, or is limiting calls."
    delay = timedelta(seconds=2)


class StateNotAvailable(RetryLater):
    reason = "ERROR_REASON_STATE_UNAVAILABLE"
    message = "The database did not answer."


class RevisionNotReached(RetryLater):
    reason = "ERROR_REASON_REVISION_NOT_REACHED"
    message = "The revision was not reached in time."


class Overloaded(RetryLater):
    code = "RESOURCE_EXHAUSTED"
    reason = "ERROR_REASON_OVERLOADED"
    message = "The server is taking no more calls of this method for now."

    @classmethod
    def by_caller(cls, limit: str, delay: timedelta) -> "Overloaded":
        """Make the error of a caller that asks for more than it is given."""
        error = cls(delay)
        error.args = ("The caller asks for more than it is given.",)
        error.metadata["limit"] = limit
        return error
