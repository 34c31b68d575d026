"""Every call of the service, written once for both clients.

A call is a value: which method, what request, how long to wait. The functions
here make such values and send nothing; `BillingClient` and
`BlockingBillingClient` differ only in how they wait for the answer. Their methods
are these functions, so names, arguments, defaults and types cannot drift apart,
and type checkers see the arguments through either.

A new RPC takes an `Rpc`, a function, and a line in each client.
"""

import math
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from google.protobuf.message import Message

from paidup.v1 import billing_service_pb2 as pb
from paidup.v1.entitlement_pb2 import Consistency
from paidup.v1.subscription_pb2 import Subscription


class Page(Protocol):
    """The response of a method that lists."""

    next_page_token: str


Response = TypeVar("Response", bound=Message)
Answer = TypeVar("Answer")
PageT = TypeVar("PageT", bound=Page)
Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rpc(Generic[Response]):
    """A method of the service."""

    name: str
    response: type[Response]
    #: Whether the channel may send it again when an attempt was lost.
    safe_to_repeat: bool
    service: str = "paidup.v1.BillingService"

    @property
    def path(self) -> str:
        return f"/{self.service}/{self.name}"

    def call(self, request: Message, timeout: float) -> "Call[Response]":
        return Call(rpc=self, request=request, timeout=timeout, read=_whole)


@dataclass(frozen=True, kw_only=True, slots=True)
class Call(Generic[Answer]):
    """One call, not yet sent."""

    rpc: Rpc[Any]
    request: Message
    #: In seconds.
    timeout: float
    #: What of the response the caller gets.
    read: Callable[[Any], Answer]

    def __post_init__(self) -> None:
        if not 0 < self.timeout < math.inf:
            raise ValueError("A timeout is a positive number of seconds.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pages(Generic[PageT, Item]):
    """The calls that fetch a list page by page."""

    first: Call[PageT]
    items: Callable[[PageT], Iterable[Item]]

    def after(self, page: PageT) -> Call[PageT] | None:
        """Return the call for the next page; None after the last one."""
        if not page.next_page_token:
            return None
        request: Any = type(self.first.request)()
        request.CopyFrom(self.first.request)
        request.page_token = page.next_page_token
        return replace(self.first, request=request)


def _whole(response: Answer) -> Answer:
    return response


CREATE_CHECKOUT_SESSION = Rpc(
    name="CreateCheckoutSession",
    response=pb.CreateCheckoutSessionResponse,
    safe_to_repeat=True,  # every request has a request_id
)
GET_SESSION_STATUS = Rpc(
    name="GetSessionStatus", response=pb.GetSessionStatusResponse, safe_to_repeat=True
)
CREATE_PORTAL_SESSION = Rpc(
    name="CreatePortalSession",
    response=pb.CreatePortalSessionResponse,
    safe_to_repeat=False,  # each attempt would create a session of its own
)
CHECK_ENTITLEMENT = Rpc(
    name="CheckEntitlement", response=pb.CheckEntitlementResponse, safe_to_repeat=True
)
BATCH_CHECK_ENTITLEMENTS = Rpc(
    name="BatchCheckEntitlements", response=pb.BatchCheckEntitlementsResponse, safe_to_repeat=True
)
LIST_ENTITLEMENTS = Rpc(
    name="ListEntitlements", response=pb.ListEntitlementsResponse, safe_to_repeat=True
)
LIST_SUBSCRIPTIONS = Rpc(
    name="ListSubscriptions", response=pb.ListSubscriptionsResponse, safe_to_repeat=True
)

RPCS: tuple[Rpc[Any], ...] = (
    CREATE_CHECKOUT_SESSION,
    GET_SESSION_STATUS,
    CREATE_PORTAL_SESSION,
    CHECK_ENTITLEMENT,
    BATCH_CHECK_ENTITLEMENTS,
    LIST_ENTITLEMENTS,
    LIST_SUBSCRIPTIONS,
)

#: A stream, so none of the calls above: whoever follows it begins it anew itself.
WATCH_ENTITLEMENTS = Rpc(
    name="WatchEntitlements", response=pb.WatchEntitlementsResponse, safe_to_repeat=False
)


def create_checkout_session(
    *,
    account_id: str,
    line_items: Iterable[pb.LineItem],
    ui_mode: pb.UiMode | None = None,
    return_url: str | None = None,
    success_url: str | None = None,
    cancel_url: str | None = None,
    customer_email: str | None = None,
    trial_period_days: int | None = None,
    allow_promotion_codes: bool = False,
    locale: str | None = None,
    custom_text: pb.CustomText | None = None,
    metadata: Mapping[str, str] | None = None,
    request_id: str | None = None,
    allow_additional_subscription: bool = False,
    timeout: float = 30.0,
) -> Call[pb.CreateCheckoutSessionResponse]:
    """Create a Stripe Checkout Session, or get the account's open one for the same items.

    An embedded page, the default, needs `return_url`; a hosted one `success_url`.

    `request_id` (a UUID) makes the call safe to repeat: the service answers a
    repetition as it answered first. Without one, a fresh one is made, which
    covers the attempts of this call; give your own to repeat the call yourself,
    after `DeadlineExceeded` for example.

    Raises `AlreadySubscribed` when the account already pays for a product.
    """
    request = pb.CreateCheckoutSessionRequest(
        account_id=account_id,
        line_items=line_items,
        ui_mode=ui_mode,
        return_url=return_url,
        success_url=success_url,
        cancel_url=cancel_url,
        customer_email=customer_email,
        trial_period_days=trial_period_days,
        allow_promotion_codes=allow_promotion_codes,
        locale=locale,
        custom_text=custom_text,
        metadata=metadata,
        request_id=request_id or str(uuid.uuid4()),
        allow_additional_subscription=allow_additional_subscription,
    )
    return CREATE_CHECKOUT_SESSION.call(request, timeout)


def get_session_status(
    *, account_id: str, session_id: str, timeout: float = 15.0
) -> Call[pb.GetSessionStatusResponse]:
    """Get where a Checkout Session of the account stands.

    Once it is complete, checks with `at_least_revision` set to the answer's
    `revision` see what was paid for.
    """
    request = pb.GetSessionStatusRequest(account_id=account_id, session_id=session_id)
    return GET_SESSION_STATUS.call(request, timeout)


def create_portal_session(
    *,
    account_id: str,
    return_url: str | None = None,
    flow: pb.PortalFlow | None = None,
    subscription_id: str | None = None,
    locale: str | None = None,
    timeout: float = 15.0,
) -> Call[pb.CreatePortalSessionResponse]:
    """Create a session of Stripe's customer portal; send the customer to its `url` at once.

    Raises `NotFound` for an account without a customer, and
    `SubscriptionAmbiguous` when `flow` is about one subscription of several.
    """
    request = pb.CreatePortalSessionRequest(
        account_id=account_id,
        return_url=return_url,
        flow=flow,
        subscription_id=subscription_id,
        locale=locale,
    )
    return CREATE_PORTAL_SESSION.call(request, timeout)


def check_entitlement(
    *,
    account_id: str,
    feature: str | None = None,
    product_id: str | None = None,
    at_least_revision: str | None = None,
    fully_consistent: bool = False,
    timeout: float = 2.0,
) -> Call[pb.CheckEntitlementResponse]:
    """Check whether an account may use one feature or product now, and why.

    Name either `feature` (a lookup key) or `product_id`. An unknown account is not
    entitled, which is an answer. At most one of these asks for a fresher one:
    `at_least_revision` of an earlier answer, or `fully_consistent`.
    """
    if (feature is None) == (product_id is None):
        raise TypeError("Name either a feature or a product_id.")
    request = pb.CheckEntitlementRequest(
        account_id=account_id,
        feature=feature,
        product_id=product_id,
        consistency=_consistency(at_least_revision, fully_consistent=fully_consistent),
    )
    return CHECK_ENTITLEMENT.call(request, timeout)


def entitled(
    account_id: str,
    *,
    feature: str | None = None,
    product_id: str | None = None,
    at_least_revision: str | None = None,
    fully_consistent: bool = False,
    timeout: float = 2.0,
) -> Call[bool]:
    """Say whether an account may use one feature or product now.

    `check_entitlement` for those who need no reason.
    """
    check = check_entitlement(
        account_id=account_id,
        feature=feature,
        product_id=product_id,
        at_least_revision=at_least_revision,
        fully_consistent=fully_consistent,
        timeout=timeout,
    )
    return Call(rpc=check.rpc, request=check.request, timeout=timeout, read=_entitled)


def batch_check_entitlements(
    *,
    checks: Iterable[pb.BatchCheckEntitlementsRequest.Check],
    at_least_revision: str | None = None,
    fully_consistent: bool = False,
    timeout: float = 5.0,
) -> Call[pb.BatchCheckEntitlementsResponse]:
    """Check up to 1,000 pairs of an account and a feature or product, as of one revision.

    The answer has one entitlement a check, in the order of `checks`.
    """
    request = pb.BatchCheckEntitlementsRequest(
        checks=checks,
        consistency=_consistency(at_least_revision, fully_consistent=fully_consistent),
    )
    return BATCH_CHECK_ENTITLEMENTS.call(request, timeout)


def list_entitlements(
    *,
    account_id: str,
    at_least_revision: str | None = None,
    fully_consistent: bool = False,
    timeout: float = 2.0,
) -> Call[pb.ListEntitlementsResponse]:
    """List every feature and product that an account may use now.

    Nothing for an unknown account.
    """
    request = pb.ListEntitlementsRequest(
        account_id=account_id,
        consistency=_consistency(at_least_revision, fully_consistent=fully_consistent),
    )
    return LIST_ENTITLEMENTS.call(request, timeout)


def list_subscriptions(
    *,
    account_id: str,
    page_size: int | None = None,
    page_token: str | None = None,
    timeout: float = 5.0,
) -> Call[pb.ListSubscriptionsResponse]:
    """List one page of an account's subscriptions, newest first.

    A page has at most `page_size`, 1 to 100; 20 if not given.
    """
    request = pb.ListSubscriptionsRequest(
        account_id=account_id, page_size=page_size, page_token=page_token
    )
    return LIST_SUBSCRIPTIONS.call(request, timeout)


def iter_subscriptions(
    *, account_id: str, page_size: int | None = None, timeout: float = 5.0
) -> Pages[pb.ListSubscriptionsResponse, Subscription]:
    """Go through all of an account's subscriptions, newest first.

    A page is fetched when the one before it is used up; `timeout` is for each.
    """
    first = list_subscriptions(account_id=account_id, page_size=page_size, timeout=timeout)
    return Pages(first=first, items=lambda page: page.subscriptions)


def _entitled(response: pb.CheckEntitlementResponse) -> bool:
    return response.entitlement.entitled


def _consistency(at_least_revision: str | None, *, fully_consistent: bool) -> Consistency | None:
    if at_least_revision is not None and fully_consistent:
        raise TypeError("Ask for either at_least_revision or fully_consistent.")
    if fully_consistent:
        return Consistency(fully_consistent=True)
    if at_least_revision is not None:
        return Consistency(at_least_revision=at_least_revision)
    return None
