"""The limits of what operators send to `AdminService`."""

import re
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from billing_service.violations import (
    MAX_ID,
    MAX_LOOKUP_KEY,
    UUID,
    Violations,
    account_id,
    subject,
)
from paidup.v1 import admin_service_pb2 as admin

MAX_NOTE = 1000
#: A SPIFFE id has 2048 bytes at most.
MAX_CALLER = 2048
MAX_METHOD = 100
_METHOD = re.compile(r"[A-Za-z]+")

#: A customer's id becomes part of an address: it must not lead elsewhere.
_CUSTOMER_ID = re.compile(r"\w[\w.@+-]*")


def explain_request(request: admin.ExplainEntitlementRequest) -> None:
    found = Violations()
    account_id(request.account_id, found)
    subject(request, found)
    found.raise_any()


def create_grant_request(request: admin.CreateGrantRequest, *, now: datetime) -> None:
    found = Violations()
    account_id(request.account_id, found)
    found.text("feature", request.feature, longest=MAX_LOOKUP_KEY, required=True)
    found.text("note", request.note, longest=MAX_NOTE, required=True)
    found.text("request_id", request.request_id, longest=36, rule=UUID)
    if request.HasField("expire_time"):
        _later("expire_time", request.expire_time, now, found)
    found.raise_any()


def _later(field: str, stamp: Timestamp, now: datetime, found: Violations) -> None:
    try:
        moment = stamp.ToDatetime(UTC)
    except (ValueError, OverflowError):
        found.add(field, "Is no time.")
        return
    found.check(field, moment > now, "Must be in the future.")


def revoke_grant_request(request: admin.RevokeGrantRequest) -> None:
    found = Violations()
    found.text("grant_id", request.grant_id, longest=MAX_ID, required=True)
    found.raise_any()


def list_events_request(request: admin.ListEventsRequest) -> None:
    found = Violations()
    if request.account_id:
        account_id(request.account_id, found)
    found.check("state", request.state in admin.EventState.values(), "Is not known here.")
    found.check("page_size", request.page_size >= 0, "Must not be negative.")
    found.raise_any()


def list_audit_entries_request(request: admin.ListAuditEntriesRequest) -> None:
    found = Violations()
    if request.account_id:
        account_id(request.account_id, found)
    found.text("caller", request.caller, longest=MAX_CALLER)
    found.text("method", request.method, longest=MAX_METHOD, rule=_METHOD)
    found.check("page_size", request.page_size >= 0, "Must not be negative.")
    found.raise_any()


def replay_request(request: admin.ReplayEventRequest) -> None:
    found = Violations()
    found.text("event_id", request.event_id, longest=MAX_ID, required=True)
    found.raise_any()


def account_request(request: admin.RefreshAccountRequest | admin.EraseAccountRequest) -> None:
    found = Violations()
    account_id(request.account_id, found)
    found.raise_any()


def link_request(request: admin.LinkCustomerRequest) -> None:
    found = Violations()
    account_id(request.account_id, found)
    found.text("customer_id", request.customer_id, longest=MAX_ID, required=True, rule=_CUSTOMER_ID)
    found.raise_any()
