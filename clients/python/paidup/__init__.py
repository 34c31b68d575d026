"""Sell Stripe subscriptions through Paidup, and ask what an account has paid for.

`BillingClient` is for asyncio, `BlockingBillingClient` for everything else. Both
return the service's own messages; their types are in `paidup.v1`.
"""

from paidup._blocking_client import BlockingBillingClient
from paidup._client import BillingClient
from paidup._endpoint import Tls
from paidup._error_details import FieldViolation
from paidup._errors import (
    AlreadySubscribed,
    Conflict,
    DeadlineExceeded,
    InvalidRequest,
    NotFound,
    PaidupError,
    PermissionDenied,
    ServiceFault,
    SubscriptionAmbiguous,
    Unavailable,
)
from paidup.v1.billing_service_pb2 import (
    CustomText,
    LineItem,
    PaymentStatus,
    PortalFlow,
    SessionStatus,
    UiMode,
)
from paidup.v1.entitlement_pb2 import Entitlement, EntitlementReason
from paidup.v1.error_reason_pb2 import ErrorReason
from paidup.v1.subscription_pb2 import Subscription, SubscriptionStatus

__all__ = [
    "AlreadySubscribed",
    "BillingClient",
    "BlockingBillingClient",
    "Conflict",
    "CustomText",
    "DeadlineExceeded",
    "Entitlement",
    "EntitlementReason",
    "ErrorReason",
    "FieldViolation",
    "InvalidRequest",
    "LineItem",
    "NotFound",
    "PaidupError",
    "PaymentStatus",
    "PermissionDenied",
    "PortalFlow",
    "ServiceFault",
    "SessionStatus",
    "Subscription",
    "SubscriptionAmbiguous",
    "SubscriptionStatus",
    "Tls",
    "UiMode",
    "Unavailable",
]
