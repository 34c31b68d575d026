"""The contract's `AdminService`: each method translates in, asks, and translates out."""

from datetime import UTC, datetime

from billing_service import admin_validation, current_call, page_tokens, validation
from billing_service.account_links import AccountLinks
from billing_service.account_refresh import AccountRefresh
from billing_service.audit import AuditLog
from billing_service.erasure import Erasure
from billing_service.event_log import EventLog
from billing_service.explanations import Explanations
from billing_service.grants import Grants, Wish
from billing_service.servicer import Context
from billing_service.to_proto import (
    audit_entry_to_proto,
    entitlement_to_proto,
    event_to_proto,
    grant_to_proto,
    subscription_to_proto,
)
from paidup.v1 import admin_service_pb2 as pb
from paidup.v1 import admin_service_pb2_grpc
from subscription_state.audit import AuditFilter
from subscription_state.entitlements import Subject
from subscription_state.events import EventFilter, EventState

_STATES = {
    pb.EVENT_STATE_UNSPECIFIED: None,
    pb.EVENT_STATE_PENDING: EventState.PENDING,
    pb.EVENT_STATE_APPLIED: EventState.APPLIED,
    pb.EVENT_STATE_SKIPPED: EventState.SKIPPED,
    pb.EVENT_STATE_FAILED: EventState.FAILED,
}


class AdminServicer(admin_service_pb2_grpc.AdminServiceServicer):
    """Serves `paidup.v1.AdminService`."""

    def __init__(
        self,
        *,
        event_log: EventLog,
        refresh: AccountRefresh,
        links: AccountLinks,
        erasure: Erasure,
        explanations: Explanations,
        grants: Grants,
        audit_log: AuditLog,
    ) -> None:
        self._event_log = event_log
        self._refresh = refresh
        self._links = links
        self._erasure = erasure
        self._explanations = explanations
        self._grants = grants
        self._audit_log = audit_log

    async def ListEvents(
        self, request: pb.ListEventsRequest, _context: Context
    ) -> pb.ListEventsResponse:
        admin_validation.list_events_request(request)
        page = await self._event_log.list_page(
            EventFilter(account_id=request.account_id, state=_STATES[request.state]),
            size=page_tokens.page_size(request.page_size),
            token=request.page_token,
        )
        return pb.ListEventsResponse(
            events=[event_to_proto(each) for each in page.events],
            next_page_token=page.next_page_token,
        )

    async def ReplayEvent(
        self, request: pb.ReplayEventRequest, _context: Context
    ) -> pb.ReplayEventResponse:
        admin_validation.replay_request(request)
        event = await self._event_log.replay(request.event_id)
        return pb.ReplayEventResponse(event=event_to_proto(event))

    async def RefreshAccount(
        self, request: pb.RefreshAccountRequest, _context: Context
    ) -> pb.RefreshAccountResponse:
        admin_validation.account_request(request)
        refreshed = await self._refresh.refresh_for_caller(request.account_id)
        return pb.RefreshAccountResponse(
            subscriptions=[subscription_to_proto(each) for each in refreshed.subscriptions],
            drifted=refreshed.drifted,
            revision=str(refreshed.revision),
        )

    async def LinkCustomer(
        self, request: pb.LinkCustomerRequest, _context: Context
    ) -> pb.LinkCustomerResponse:
        admin_validation.link_request(request)
        linked = await self._links.link(request.account_id, request.customer_id)
        return pb.LinkCustomerResponse(
            subscriptions=[subscription_to_proto(each) for each in linked.subscriptions],
            revision=str(linked.revision),
        )

    async def EraseAccount(
        self, request: pb.EraseAccountRequest, _context: Context
    ) -> pb.EraseAccountResponse:
        admin_validation.account_request(request)
        erased = await self._erasure.erase(request.account_id)
        return pb.EraseAccountResponse(erased_events=erased)

    async def ExplainEntitlement(
        self, request: pb.ExplainEntitlementRequest, _context: Context
    ) -> pb.ExplainEntitlementResponse:
        admin_validation.explain_request(request)
        subject = Subject(feature=request.feature, product_id=request.product_id)
        explanation = await self._explanations.explain(request.account_id, subject)
        return pb.ExplainEntitlementResponse(
            entitlement=entitlement_to_proto(request.account_id, subject, explanation.decision),
            explanation=explanation.sentences,
            subscriptions=[subscription_to_proto(each) for each in explanation.subscriptions],
            grants=[grant_to_proto(each) for each in explanation.grants],
            events=[event_to_proto(each) for each in explanation.events],
        )

    async def CreateGrant(
        self, request: pb.CreateGrantRequest, _context: Context
    ) -> pb.CreateGrantResponse:
        admin_validation.create_grant_request(request, now=datetime.now(UTC))
        granted = await self._grants.create(_wish(request), creator=current_call.caller())
        return pb.CreateGrantResponse(
            grant=grant_to_proto(granted.grant), revision=str(granted.revision)
        )

    async def RevokeGrant(
        self, request: pb.RevokeGrantRequest, _context: Context
    ) -> pb.RevokeGrantResponse:
        admin_validation.revoke_grant_request(request)
        revoked = await self._grants.revoke(request.grant_id)
        return pb.RevokeGrantResponse(
            grant=grant_to_proto(revoked.grant), revision=str(revoked.revision)
        )

    async def ListGrants(
        self, request: pb.ListGrantsRequest, _context: Context
    ) -> pb.ListGrantsResponse:
        validation.account_page_request(request)
        page = await self._grants.list_page(
            request.account_id,
            size=page_tokens.page_size(request.page_size),
            token=request.page_token,
        )
        return pb.ListGrantsResponse(
            grants=[grant_to_proto(each) for each in page.grants],
            next_page_token=page.next_page_token,
        )

    async def ListAuditEntries(
        self, request: pb.ListAuditEntriesRequest, _context: Context
    ) -> pb.ListAuditEntriesResponse:
        admin_validation.list_audit_entries_request(request)
        wanted = AuditFilter(
            account_id=request.account_id, caller=request.caller, method=request.method
        )
        page = await self._audit_log.list_page(
            wanted, size=page_tokens.page_size(request.page_size), token=request.page_token
        )
        return pb.ListAuditEntriesResponse(
            entries=[audit_entry_to_proto(each) for each in page.entries],
            next_page_token=page.next_page_token,
        )


def _wish(request: pb.CreateGrantRequest) -> Wish:
    expires = request.HasField("expire_time")
    return Wish(
        account_id=request.account_id,
        feature=request.feature,
        expire_time=request.expire_time.ToDatetime(UTC) if expires else None,
        note=request.note,
        request_id=request.request_id,
    )
