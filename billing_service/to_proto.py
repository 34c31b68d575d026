"""The model in the contract's words."""

from datetime import datetime
from functools import lru_cache

from google.protobuf.timestamp_pb2 import Timestamp

from paidup.v1 import admin_service_pb2, entitlement_pb2, subscription_pb2
from paidup.v1 import billing_service_pb2 as pb
from subscription_state.audit import AuditEntry
from subscription_state.entitlements import Decision, Subject
from subscription_state.events import StoredEvent
from subscription_state.model import Grant, Item, Status, StoredSubscription
from subscription_state.revision import Revision

_SESSION_STATUSES = {
    "open": pb.SESSION_STATUS_OPEN,
    "complete": pb.SESSION_STATUS_COMPLETE,
    "expired": pb.SESSION_STATUS_EXPIRED,
}
_PAYMENT_STATUSES = {
    "paid": pb.PAYMENT_STATUS_PAID,
    "unpaid": pb.PAYMENT_STATUS_UNPAID,
    "no_payment_required": pb.PAYMENT_STATUS_NO_PAYMENT_REQUIRED,
}


def time_to_proto(moment: datetime | None) -> Timestamp | None:
    """Give a time; what is absent stays absent."""
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


@lru_cache(maxsize=16)
def revision_to_proto(revision: Revision) -> str:
    """Give a revision as callers see it; many answers in a row have the same."""
    return str(revision)


def entitlement_to_proto(
    account_id: str, subject: Subject, decision: Decision
) -> entitlement_pb2.Entitlement:
    entitlement = entitlement_pb2.Entitlement(
        account_id=account_id,
        entitled=decision.entitled,
        reason=f"ENTITLEMENT_REASON_{decision.reason}",
        subscription_id=decision.subscription_id,
        grant_id=decision.grant_id,
        subscription_status=_status_name(decision.status),
        quantity=decision.quantity,
        valid_until_time=time_to_proto(decision.valid_until),
    )
    if subject.product_id:
        entitlement.product_id = subject.product_id
    else:
        entitlement.feature = subject.feature
    return entitlement


def _status_name(status: Status | None) -> str:
    if status is None or status is Status.UNKNOWN:
        return "SUBSCRIPTION_STATUS_UNSPECIFIED"
    return f"SUBSCRIPTION_STATUS_{status.name}"


def subscription_to_proto(stored: StoredSubscription) -> subscription_pb2.Subscription:
    subscription = stored.subscription
    return subscription_pb2.Subscription(
        subscription_id=subscription.subscription_id,
        customer_id=subscription.customer_id,
        status=_status_name(subscription.status),
        items=[_item_to_proto(item) for item in subscription.items],
        trial_end_time=time_to_proto(subscription.trial_end),
        cancel_time=time_to_proto(subscription.cancel_time),
        end_time=time_to_proto(subscription.end_time),
        create_time=time_to_proto(subscription.create_time),
        verify_time=time_to_proto(stored.verified_at),
    )


def event_to_proto(event: StoredEvent) -> admin_service_pb2.Event:
    return admin_service_pb2.Event(
        event_id=event.event_id,
        type=event.type,
        customer_id=event.customer_id or "",
        create_time=time_to_proto(event.create_time),
        receive_time=time_to_proto(event.receive_time),
        state=f"EVENT_STATE_{event.state.name}",
        deliveries=event.deliveries,
        error=event.error or "",
    )


def grant_to_proto(grant: Grant) -> admin_service_pb2.Grant:
    return admin_service_pb2.Grant(
        grant_id=grant.grant_id,
        account_id=grant.account_id,
        feature=grant.feature,
        expire_time=time_to_proto(grant.expire_time),
        note=grant.note,
        creator=grant.creator,
        create_time=time_to_proto(grant.create_time),
        revoke_time=time_to_proto(grant.revoke_time),
    )


def audit_entry_to_proto(entry: AuditEntry) -> admin_service_pb2.AuditEntry:
    return admin_service_pb2.AuditEntry(
        entry_id=entry.entry_id,
        create_time=time_to_proto(entry.create_time),
        caller=entry.caller,
        method=entry.method,
        account_id=entry.account_id,
        request_id=entry.request_id,
        facts=entry.facts,
    )


def session_status_to_proto(status: str) -> pb.SessionStatus:
    return _SESSION_STATUSES.get(status, pb.SESSION_STATUS_UNSPECIFIED)


def payment_status_to_proto(status: str) -> pb.PaymentStatus:
    return _PAYMENT_STATUSES.get(status, pb.PAYMENT_STATUS_UNSPECIFIED)


def _item_to_proto(item: Item) -> subscription_pb2.SubscriptionItem:
    return subscription_pb2.SubscriptionItem(
        price_id=item.price_id,
        product_id=item.product_id,
        quantity=item.quantity,
        current_period_end_time=time_to_proto(item.period_end),
    )
