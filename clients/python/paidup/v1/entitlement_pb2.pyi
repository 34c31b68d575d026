import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from paidup.v1 import subscription_pb2 as _subscription_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EntitlementReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENTITLEMENT_REASON_UNSPECIFIED: _ClassVar[EntitlementReason]
    ENTITLEMENT_REASON_ACTIVE: _ClassVar[EntitlementReason]
    ENTITLEMENT_REASON_TRIALING: _ClassVar[EntitlementReason]
    ENTITLEMENT_REASON_GRACE_PERIOD: _ClassVar[EntitlementReason]
    ENTITLEMENT_REASON_GRANT: _ClassVar[EntitlementReason]
    ENTITLEMENT_REASON_NO_SUBSCRIPTION: _ClassVar[EntitlementReason]
    ENTITLEMENT_REASON_NOT_IN_PLAN: _ClassVar[EntitlementReason]
    ENTITLEMENT_REASON_PAST_DUE: _ClassVar[EntitlementReason]
    ENTITLEMENT_REASON_UNPAID: _ClassVar[EntitlementReason]
    ENTITLEMENT_REASON_CANCELED: _ClassVar[EntitlementReason]
    ENTITLEMENT_REASON_INCOMPLETE: _ClassVar[EntitlementReason]
    ENTITLEMENT_REASON_PAUSED: _ClassVar[EntitlementReason]
    ENTITLEMENT_REASON_PAYMENT_PENDING: _ClassVar[EntitlementReason]
    ENTITLEMENT_REASON_PAYMENT_FAILED: _ClassVar[EntitlementReason]
    ENTITLEMENT_REASON_UNKNOWN_SUBJECT: _ClassVar[EntitlementReason]
    ENTITLEMENT_REASON_UNKNOWN_STATUS: _ClassVar[EntitlementReason]
ENTITLEMENT_REASON_UNSPECIFIED: EntitlementReason
ENTITLEMENT_REASON_ACTIVE: EntitlementReason
ENTITLEMENT_REASON_TRIALING: EntitlementReason
ENTITLEMENT_REASON_GRACE_PERIOD: EntitlementReason
ENTITLEMENT_REASON_GRANT: EntitlementReason
ENTITLEMENT_REASON_NO_SUBSCRIPTION: EntitlementReason
ENTITLEMENT_REASON_NOT_IN_PLAN: EntitlementReason
ENTITLEMENT_REASON_PAST_DUE: EntitlementReason
ENTITLEMENT_REASON_UNPAID: EntitlementReason
ENTITLEMENT_REASON_CANCELED: EntitlementReason
ENTITLEMENT_REASON_INCOMPLETE: EntitlementReason
ENTITLEMENT_REASON_PAUSED: EntitlementReason
ENTITLEMENT_REASON_PAYMENT_PENDING: EntitlementReason
ENTITLEMENT_REASON_PAYMENT_FAILED: EntitlementReason
ENTITLEMENT_REASON_UNKNOWN_SUBJECT: EntitlementReason
ENTITLEMENT_REASON_UNKNOWN_STATUS: EntitlementReason

class Consistency(_message.Message):
    __slots__ = ("at_least_revision", "fully_consistent")
    AT_LEAST_REVISION_FIELD_NUMBER: _ClassVar[int]
    FULLY_CONSISTENT_FIELD_NUMBER: _ClassVar[int]
    at_least_revision: str
    fully_consistent: bool
    def __init__(self, at_least_revision: _Optional[str] = ..., fully_consistent: _Optional[bool] = ...) -> None: ...

class Entitlement(_message.Message):
    __slots__ = ("account_id", "feature", "product_id", "entitled", "reason", "subscription_id", "grant_id", "subscription_status", "quantity", "valid_until_time")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    ENTITLED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    GRANT_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_STATUS_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_TIME_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    feature: str
    product_id: str
    entitled: bool
    reason: EntitlementReason
    subscription_id: str
    grant_id: str
    subscription_status: _subscription_pb2.SubscriptionStatus
    quantity: int
    valid_until_time: _timestamp_pb2.Timestamp
    def __init__(self, account_id: _Optional[str] = ..., feature: _Optional[str] = ..., product_id: _Optional[str] = ..., entitled: _Optional[bool] = ..., reason: _Optional[_Union[EntitlementReason, str]] = ..., subscription_id: _Optional[str] = ..., grant_id: _Optional[str] = ..., subscription_status: _Optional[_Union[_subscription_pb2.SubscriptionStatus, str]] = ..., quantity: _Optional[int] = ..., valid_until_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
