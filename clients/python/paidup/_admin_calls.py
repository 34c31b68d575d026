"""Every call of the service's administration, written once for both clients.

As in `_calls`: functions make calls and send nothing. What changes something is
not sent again by itself, unless a `request_id` makes that safe.
"""

import uuid
from datetime import datetime
from typing import Any

from paidup._calls import Call, Pages, Response, Rpc
from paidup.v1 import admin_service_pb2 as pb


def _rpc(name: str, response: type[Response], *, safe_to_repeat: bool = False) -> Rpc[Response]:
    return Rpc(
        name=name,
        response=response,
        safe_to_repeat=safe_to_repeat,
        service="paidup.v1.AdminService",
    )


EXPLAIN_ENTITLEMENT = _rpc("ExplainEntitlement", pb.ExplainEntitlementResponse, safe_to_repeat=True)
CREATE_GRANT = _rpc(
    "CreateGrant",
    pb.CreateGrantResponse,
    safe_to_repeat=True,  # every request has a request_id
)
REVOKE_GRANT = _rpc("RevokeGrant", pb.RevokeGrantResponse)
LIST_GRANTS = _rpc("ListGrants", pb.ListGrantsResponse, safe_to_repeat=True)
LIST_EVENTS = _rpc("ListEvents", pb.ListEventsResponse, safe_to_repeat=True)
REPLAY_EVENT = _rpc("ReplayEvent", pb.ReplayEventResponse)
REFRESH_ACCOUNT = _rpc("RefreshAccount", pb.RefreshAccountResponse)
LINK_CUSTOMER = _rpc("LinkCustomer", pb.LinkCustomerResponse)
ERASE_ACCOUNT = _rpc("EraseAccount", pb.EraseAccountResponse)
LIST_AUDIT_ENTRIES = _rpc("ListAuditEntries", pb.ListAuditEntriesResponse, safe_to_repeat=True)

RPCS: tuple[Rpc[Any], ...] = (
    EXPLAIN_ENTITLEMENT,
    CREATE_GRANT,
    REVOKE_GRANT,
    LIST_GRANTS,
    LIST_EVENTS,
    REPLAY_EVENT,
    REFRESH_ACCOUNT,
    LINK_CUSTOMER,
    ERASE_ACCOUNT,
    LIST_AUDIT_ENTRIES,
)


def explain_entitlement(
    *,
    account_id: str,
    feature: str | None = None,
    product_id: str | None = None,
    timeout: float = 5.0,
) -> Call[pb.ExplainEntitlementResponse]:
    """Explain a decision in sentences, with all that it rests on.

    Name either `feature` (a lookup key) or `product_id`.
    """
    if (feature is None) == (product_id is None):
        raise TypeError("Name either a feature or a product_id.")
    request = pb.ExplainEntitlementRequest(
        account_id=account_id, feature=feature, product_id=product_id
    )
    return EXPLAIN_ENTITLEMENT.call(request, timeout)


def create_grant(
    *,
    account_id: str,
    feature: str,
    note: str,
    expire_time: datetime | None = None,
    request_id: str | None = None,
    timeout: float = 5.0,
) -> Call[pb.CreateGrantResponse]:
    """Grant a feature to an account by hand; `note` says why.

    Without `expire_time`, which needs a time zone, it holds until it is revoked.

    `request_id` (a UUID) makes the call safe to repeat, as in
    `create_checkout_session`; without one, a fresh one is made.
    """
    if expire_time is not None and expire_time.utcoffset() is None:
        raise ValueError("An expire_time needs a time zone.")
    request = pb.CreateGrantRequest(
        account_id=account_id,
        feature=feature,
        note=note,
        expire_time=expire_time,
        request_id=request_id or str(uuid.uuid4()),
    )
    return CREATE_GRANT.call(request, timeout)


def revoke_grant(*, grant_id: str, timeout: float = 5.0) -> Call[pb.RevokeGrantResponse]:
    """End a grant now. To revoke again changes nothing.

    Raises `NotFound` for a grant that was never given.
    """
    return REVOKE_GRANT.call(pb.RevokeGrantRequest(grant_id=grant_id), timeout)


def list_grants(
    *,
    account_id: str,
    page_size: int | None = None,
    page_token: str | None = None,
    timeout: float = 5.0,
) -> Call[pb.ListGrantsResponse]:
    """List one page of an account's grants, ended ones too, newest first.

    A page has at most `page_size`, 1 to 100; 20 if not given.
    """
    request = pb.ListGrantsRequest(
        account_id=account_id, page_size=page_size, page_token=page_token
    )
    return LIST_GRANTS.call(request, timeout)


def iter_grants(
    *, account_id: str, page_size: int | None = None, timeout: float = 5.0
) -> Pages[pb.ListGrantsResponse, pb.Grant]:
    """Go through all of an account's grants, ended ones too, newest first.

    A page is fetched when the one before it is used up; `timeout` is for each.
    """
    first = list_grants(account_id=account_id, page_size=page_size, timeout=timeout)
    return Pages(first=first, items=lambda page: page.grants)


def list_events(
    *,
    account_id: str | None = None,
    state: pb.EventState | None = None,
    page_size: int | None = None,
    page_token: str | None = None,
    timeout: float = 5.0,
) -> Call[pb.ListEventsResponse]:
    """List one page of webhook events, newest first: of all accounts and states, or of one.

    A page has at most `page_size`, 1 to 100; 20 if not given.
    """
    request = pb.ListEventsRequest(
        account_id=account_id, state=state, page_size=page_size, page_token=page_token
    )
    return LIST_EVENTS.call(request, timeout)


def iter_events(
    *,
    account_id: str | None = None,
    state: pb.EventState | None = None,
    page_size: int | None = None,
    timeout: float = 5.0,
) -> Pages[pb.ListEventsResponse, pb.Event]:
    """Go through all webhook events, newest first: of all accounts and states, or of one.

    A page is fetched when the one before it is used up; `timeout` is for each.
    """
    first = list_events(account_id=account_id, state=state, page_size=page_size, timeout=timeout)
    return Pages(first=first, items=lambda page: page.events)


def replay_event(*, event_id: str, timeout: float = 15.0) -> Call[pb.ReplayEventResponse]:
    """Apply a stored event again, as if it came now.

    Raises `NotFound` for an event that was never stored.
    """
    return REPLAY_EVENT.call(pb.ReplayEventRequest(event_id=event_id), timeout)


def refresh_account(*, account_id: str, timeout: float = 30.0) -> Call[pb.RefreshAccountResponse]:
    """Read an account from Stripe now and save what is found.

    Raises `NotFound` for an account without a customer.
    """
    return REFRESH_ACCOUNT.call(pb.RefreshAccountRequest(account_id=account_id), timeout)


def link_customer(
    *, account_id: str, customer_id: str, timeout: float = 30.0
) -> Call[pb.LinkCustomerResponse]:
    """Tie an existing Stripe customer to an account that has none.

    Raises `NotFound` where Stripe knows no such customer, and `Conflict` where
    either is tied to another.
    """
    request = pb.LinkCustomerRequest(account_id=account_id, customer_id=customer_id)
    return LINK_CUSTOMER.call(request, timeout)


def erase_account(*, account_id: str, timeout: float = 30.0) -> Call[pb.EraseAccountResponse]:
    """Erase what the service holds about an account's people. Cannot be undone."""
    return ERASE_ACCOUNT.call(pb.EraseAccountRequest(account_id=account_id), timeout)


def list_audit_entries(
    *,
    account_id: str | None = None,
    caller: str | None = None,
    method: str | None = None,
    page_size: int | None = None,
    page_token: str | None = None,
    timeout: float = 5.0,
) -> Call[pb.ListAuditEntriesResponse]:
    """List one page of what callers changed, newest first: all of it, or what is named.

    `method` is one of the contract's, such as `CreateGrant`. A page has at most
    `page_size`, 1 to 100; 20 if not given.
    """
    request = pb.ListAuditEntriesRequest(
        account_id=account_id,
        caller=caller,
        method=method,
        page_size=page_size,
        page_token=page_token,
    )
    return LIST_AUDIT_ENTRIES.call(request, timeout)


def iter_audit_entries(
    *,
    account_id: str | None = None,
    caller: str | None = None,
    method: str | None = None,
    page_size: int | None = None,
    timeout: float = 5.0,
) -> Pages[pb.ListAuditEntriesResponse, pb.AuditEntry]:
    """Go through all that callers changed, newest first: all of it, or what is named.

    A page is fetched when the one before it is used up; `timeout` is for each.
    """
    first = list_audit_entries(
        account_id=account_id, caller=caller, method=method, page_size=page_size, timeout=timeout
    )
    return Pages(first=first, items=lambda page: page.entries)
