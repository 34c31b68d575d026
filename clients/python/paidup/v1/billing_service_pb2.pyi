import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from paidup.v1 import entitlement_pb2 as _entitlement_pb2
from paidup.v1 import subscription_pb2 as _subscription_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class UiMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    UI_MODE_UNSPECIFIED: _ClassVar[UiMode]
    UI_MODE_EMBEDDED_PAGE: _ClassVar[UiMode]
    UI_MODE_HOSTED_PAGE: _ClassVar[UiMode]

class SessionStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SESSION_STATUS_UNSPECIFIED: _ClassVar[SessionStatus]
    SESSION_STATUS_OPEN: _ClassVar[SessionStatus]
    SESSION_STATUS_COMPLETE: _ClassVar[SessionStatus]
    SESSION_STATUS_EXPIRED: _ClassVar[SessionStatus]

class PaymentStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PAYMENT_STATUS_UNSPECIFIED: _ClassVar[PaymentStatus]
    PAYMENT_STATUS_PAID: _ClassVar[PaymentStatus]
    PAYMENT_STATUS_UNPAID: _ClassVar[PaymentStatus]
    PAYMENT_STATUS_NO_PAYMENT_REQUIRED: _ClassVar[PaymentStatus]

class PortalFlow(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PORTAL_FLOW_UNSPECIFIED: _ClassVar[PortalFlow]
    PORTAL_FLOW_PAYMENT_METHOD_UPDATE: _ClassVar[PortalFlow]
    PORTAL_FLOW_SUBSCRIPTION_CANCEL: _ClassVar[PortalFlow]
    PORTAL_FLOW_SUBSCRIPTION_UPDATE: _ClassVar[PortalFlow]
UI_MODE_UNSPECIFIED: UiMode
UI_MODE_EMBEDDED_PAGE: UiMode
UI_MODE_HOSTED_PAGE: UiMode
SESSION_STATUS_UNSPECIFIED: SessionStatus
SESSION_STATUS_OPEN: SessionStatus
SESSION_STATUS_COMPLETE: SessionStatus
SESSION_STATUS_EXPIRED: SessionStatus
PAYMENT_STATUS_UNSPECIFIED: PaymentStatus
PAYMENT_STATUS_PAID: PaymentStatus
PAYMENT_STATUS_UNPAID: PaymentStatus
PAYMENT_STATUS_NO_PAYMENT_REQUIRED: PaymentStatus
PORTAL_FLOW_UNSPECIFIED: PortalFlow
PORTAL_FLOW_PAYMENT_METHOD_UPDATE: PortalFlow
PORTAL_FLOW_SUBSCRIPTION_CANCEL: PortalFlow
PORTAL_FLOW_SUBSCRIPTION_UPDATE: PortalFlow

class LineItem(_message.Message):
    __slots__ = ("price", "quantity")
    PRICE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    price: str
    quantity: int
    def __init__(self, price: _Optional[str] = ..., quantity: _Optional[int] = ...) -> None: ...

class CustomText(_message.Message):
    __slots__ = ("submit", "after_submit", "terms_of_service_acceptance")
    SUBMIT_FIELD_NUMBER: _ClassVar[int]
    AFTER_SUBMIT_FIELD_NUMBER: _ClassVar[int]
    TERMS_OF_SERVICE_ACCEPTANCE_FIELD_NUMBER: _ClassVar[int]
    submit: str
    after_submit: str
    terms_of_service_acceptance: str
    def __init__(self, submit: _Optional[str] = ..., after_submit: _Optional[str] = ..., terms_of_service_acceptance: _Optional[str] = ...) -> None: ...

class CreateCheckoutSessionRequest(_message.Message):
    __slots__ = ("account_id", "line_items", "ui_mode", "return_url", "success_url", "cancel_url", "customer_email", "trial_period_days", "allow_promotion_codes", "locale", "custom_text", "metadata", "request_id", "allow_additional_subscription")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    LINE_ITEMS_FIELD_NUMBER: _ClassVar[int]
    UI_MODE_FIELD_NUMBER: _ClassVar[int]
    RETURN_URL_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_URL_FIELD_NUMBER: _ClassVar[int]
    CANCEL_URL_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_EMAIL_FIELD_NUMBER: _ClassVar[int]
    TRIAL_PERIOD_DAYS_FIELD_NUMBER: _ClassVar[int]
    ALLOW_PROMOTION_CODES_FIELD_NUMBER: _ClassVar[int]
    LOCALE_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_TEXT_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ALLOW_ADDITIONAL_SUBSCRIPTION_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    line_items: _containers.RepeatedCompositeFieldContainer[LineItem]
    ui_mode: UiMode
    return_url: str
    success_url: str
    cancel_url: str
    customer_email: str
    trial_period_days: int
    allow_promotion_codes: bool
    locale: str
    custom_text: CustomText
    metadata: _containers.ScalarMap[str, str]
    request_id: str
    allow_additional_subscription: bool
    def __init__(self, account_id: _Optional[str] = ..., line_items: _Optional[_Iterable[_Union[LineItem, _Mapping]]] = ..., ui_mode: _Optional[_Union[UiMode, str]] = ..., return_url: _Optional[str] = ..., success_url: _Optional[str] = ..., cancel_url: _Optional[str] = ..., customer_email: _Optional[str] = ..., trial_period_days: _Optional[int] = ..., allow_promotion_codes: _Optional[bool] = ..., locale: _Optional[str] = ..., custom_text: _Optional[_Union[CustomText, _Mapping]] = ..., metadata: _Optional[_Mapping[str, str]] = ..., request_id: _Optional[str] = ..., allow_additional_subscription: _Optional[bool] = ...) -> None: ...

class CreateCheckoutSessionResponse(_message.Message):
    __slots__ = ("session_id", "client_secret", "url", "publishable_key", "expire_time", "customer_id", "reused")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_SECRET_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    PUBLISHABLE_KEY_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    REUSED_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    client_secret: str
    url: str
    publishable_key: str
    expire_time: _timestamp_pb2.Timestamp
    customer_id: str
    reused: bool
    def __init__(self, session_id: _Optional[str] = ..., client_secret: _Optional[str] = ..., url: _Optional[str] = ..., publishable_key: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., customer_id: _Optional[str] = ..., reused: _Optional[bool] = ...) -> None: ...

class GetSessionStatusRequest(_message.Message):
    __slots__ = ("session_id", "account_id")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    account_id: str
    def __init__(self, session_id: _Optional[str] = ..., account_id: _Optional[str] = ...) -> None: ...

class GetSessionStatusResponse(_message.Message):
    __slots__ = ("status", "payment_status", "customer_email", "subscription_id", "client_secret", "url", "revision")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_STATUS_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_EMAIL_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_SECRET_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    status: SessionStatus
    payment_status: PaymentStatus
    customer_email: str
    subscription_id: str
    client_secret: str
    url: str
    revision: str
    def __init__(self, status: _Optional[_Union[SessionStatus, str]] = ..., payment_status: _Optional[_Union[PaymentStatus, str]] = ..., customer_email: _Optional[str] = ..., subscription_id: _Optional[str] = ..., client_secret: _Optional[str] = ..., url: _Optional[str] = ..., revision: _Optional[str] = ...) -> None: ...

class CreatePortalSessionRequest(_message.Message):
    __slots__ = ("account_id", "return_url", "flow", "subscription_id", "locale")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    RETURN_URL_FIELD_NUMBER: _ClassVar[int]
    FLOW_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    LOCALE_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    return_url: str
    flow: PortalFlow
    subscription_id: str
    locale: str
    def __init__(self, account_id: _Optional[str] = ..., return_url: _Optional[str] = ..., flow: _Optional[_Union[PortalFlow, str]] = ..., subscription_id: _Optional[str] = ..., locale: _Optional[str] = ...) -> None: ...

class CreatePortalSessionResponse(_message.Message):
    __slots__ = ("session_id", "url")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    url: str
    def __init__(self, session_id: _Optional[str] = ..., url: _Optional[str] = ...) -> None: ...

class CheckEntitlementRequest(_message.Message):
    __slots__ = ("account_id", "feature", "product_id", "consistency")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    feature: str
    product_id: str
    consistency: _entitlement_pb2.Consistency
    def __init__(self, account_id: _Optional[str] = ..., feature: _Optional[str] = ..., product_id: _Optional[str] = ..., consistency: _Optional[_Union[_entitlement_pb2.Consistency, _Mapping]] = ...) -> None: ...

class CheckEntitlementResponse(_message.Message):
    __slots__ = ("entitlement", "revision")
    ENTITLEMENT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    entitlement: _entitlement_pb2.Entitlement
    revision: str
    def __init__(self, entitlement: _Optional[_Union[_entitlement_pb2.Entitlement, _Mapping]] = ..., revision: _Optional[str] = ...) -> None: ...

class BatchCheckEntitlementsRequest(_message.Message):
    __slots__ = ("checks", "consistency")
    class Check(_message.Message):
        __slots__ = ("account_id", "feature", "product_id")
        ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
        FEATURE_FIELD_NUMBER: _ClassVar[int]
        PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
        account_id: str
        feature: str
        product_id: str
        def __init__(self, account_id: _Optional[str] = ..., feature: _Optional[str] = ..., product_id: _Optional[str] = ...) -> None: ...
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    checks: _containers.RepeatedCompositeFieldContainer[BatchCheckEntitlementsRequest.Check]
    consistency: _entitlement_pb2.Consistency
    def __init__(self, checks: _Optional[_Iterable[_Union[BatchCheckEntitlementsRequest.Check, _Mapping]]] = ..., consistency: _Optional[_Union[_entitlement_pb2.Consistency, _Mapping]] = ...) -> None: ...

class BatchCheckEntitlementsResponse(_message.Message):
    __slots__ = ("entitlements", "revision")
    ENTITLEMENTS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    entitlements: _containers.RepeatedCompositeFieldContainer[_entitlement_pb2.Entitlement]
    revision: str
    def __init__(self, entitlements: _Optional[_Iterable[_Union[_entitlement_pb2.Entitlement, _Mapping]]] = ..., revision: _Optional[str] = ...) -> None: ...

class ListEntitlementsRequest(_message.Message):
    __slots__ = ("account_id", "consistency")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    consistency: _entitlement_pb2.Consistency
    def __init__(self, account_id: _Optional[str] = ..., consistency: _Optional[_Union[_entitlement_pb2.Consistency, _Mapping]] = ...) -> None: ...

class ListEntitlementsResponse(_message.Message):
    __slots__ = ("entitlements", "revision")
    ENTITLEMENTS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    entitlements: _containers.RepeatedCompositeFieldContainer[_entitlement_pb2.Entitlement]
    revision: str
    def __init__(self, entitlements: _Optional[_Iterable[_Union[_entitlement_pb2.Entitlement, _Mapping]]] = ..., revision: _Optional[str] = ...) -> None: ...

class ListSubscriptionsRequest(_message.Message):
    __slots__ = ("account_id", "page_size", "page_token")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    page_size: int
    page_token: str
    def __init__(self, account_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListSubscriptionsResponse(_message.Message):
    __slots__ = ("subscriptions", "next_page_token")
    SUBSCRIPTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    subscriptions: _containers.RepeatedCompositeFieldContainer[_subscription_pb2.Subscription]
    next_page_token: str
    def __init__(self, subscriptions: _Optional[_Iterable[_Union[_subscription_pb2.Subscription, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchEntitlementsRequest(_message.Message):
    __slots__ = ("account_ids", "resume_revision")
    ACCOUNT_IDS_FIELD_NUMBER: _ClassVar[int]
    RESUME_REVISION_FIELD_NUMBER: _ClassVar[int]
    account_ids: _containers.RepeatedScalarFieldContainer[str]
    resume_revision: str
    def __init__(self, account_ids: _Optional[_Iterable[str]] = ..., resume_revision: _Optional[str] = ...) -> None: ...

class WatchEntitlementsResponse(_message.Message):
    __slots__ = ("account", "reset", "goodbye", "revision", "send_time")
    class AccountEntitlements(_message.Message):
        __slots__ = ("account_id", "entitlements")
        ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
        ENTITLEMENTS_FIELD_NUMBER: _ClassVar[int]
        account_id: str
        entitlements: _containers.RepeatedCompositeFieldContainer[_entitlement_pb2.Entitlement]
        def __init__(self, account_id: _Optional[str] = ..., entitlements: _Optional[_Iterable[_Union[_entitlement_pb2.Entitlement, _Mapping]]] = ...) -> None: ...
    class Reset(_message.Message):
        __slots__ = ()
        def __init__(self) -> None: ...
    class Goodbye(_message.Message):
        __slots__ = ("retry_delay_millis",)
        RETRY_DELAY_MILLIS_FIELD_NUMBER: _ClassVar[int]
        retry_delay_millis: int
        def __init__(self, retry_delay_millis: _Optional[int] = ...) -> None: ...
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    RESET_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    SEND_TIME_FIELD_NUMBER: _ClassVar[int]
    account: WatchEntitlementsResponse.AccountEntitlements
    reset: WatchEntitlementsResponse.Reset
    goodbye: WatchEntitlementsResponse.Goodbye
    revision: str
    send_time: _timestamp_pb2.Timestamp
    def __init__(self, account: _Optional[_Union[WatchEntitlementsResponse.AccountEntitlements, _Mapping]] = ..., reset: _Optional[_Union[WatchEntitlementsResponse.Reset, _Mapping]] = ..., goodbye: _Optional[_Union[WatchEntitlementsResponse.Goodbye, _Mapping]] = ..., revision: _Optional[str] = ..., send_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
