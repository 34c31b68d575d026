"""Sell Stripe subscriptions through Paidup, and ask what an account has paid for.

`BillingClient` is for asyncio, `BlockingBillingClient` for everything else;
`AdminClient` and `BlockingAdminClient` are for those who run the service. All
return the service's own messages; their types are in `paidup.v1`.
"""

from paidup._admin_client import AdminClient
from paidup._blocking_admin_client import BlockingAdminClient
from paidup._blocking_cache import BlockingEntitlementCache
from paidup._blocking_client import BlockingBillingClient
from paidup._cache import EntitlementCache
from paidup._client import BillingClient
from paidup._decision import CacheObserver, CacheState, Decision, Source
from paidup._endpoint import Tls, TlsFiles
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
    Unauthenticated,
    Unavailable,
)
from paidup.v1.admin_service_pb2 import AuditEntry, Event, EventState, Grant
from paidup.v1.billing_service_pb2 import BatchCheckEntitlementsRequest as _BatchCheck
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

#: One pair of `batch_check_entitlements`.
EntitlementCheck = _BatchCheck.Check

__all__ = [
    "AdminClient",
    "AlreadySubscribed",
    "AuditEntry",
    "BillingClient",
    "BlockingAdminClient",
    "BlockingBillingClient",
    "BlockingEntitlementCache",
    "CacheObserver",
    "CacheState",
    "Conflict",
    "CustomText",
    "DeadlineExceeded",
    "Decision",
    "Entitlement",
    "EntitlementCache",
    "EntitlementCheck",
    "EntitlementReason",
    "ErrorReason",
    "Event",
    "EventState",
    "FieldViolation",
    "Grant",
    "InvalidRequest",
    "LineItem",
    "NotFound",
    "PaidupError",
    "PaymentStatus",
    "PermissionDenied",
    "PortalFlow",
    "ServiceFault",
    "SessionStatus",
    "Source",
    "Subscription",
    "SubscriptionAmbiguous",
    "SubscriptionStatus",
    "Tls",
    "TlsFiles",
    "UiMode",
    "Unauthenticated",
    "Unavailable",
]
