"""The contract's `AdminService`: each method translates in, asks, and translates out."""

from billing_service import page_tokens, validation
from billing_service.account_links import AccountLinks
from billing_service.account_refresh import AccountRefresh
from billing_service.erasure import Erasure
from billing_service.event_log import EventLog
from billing_service.servicer import Context, not_offered
from billing_service.to_proto import event_to_proto, subscription_to_proto
from paidup.v1 import admin_service_pb2 as pb
from paidup.v1 import admin_service_pb2_grpc
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
    ) -> None:
        self._event_log = event_log
        self._refresh = refresh
        self._links = links
        self._erasure = erasure

    async def ListEvents(
        self, request: pb.ListEventsRequest, _context: Context
    ) -> pb.ListEventsResponse:
        validation.list_events_request(request)
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
        validation.replay_request(request)
        event = await self._event_log.replay(request.event_id)
        return pb.ReplayEventResponse(event=event_to_proto(event))

    async def RefreshAccount(
        self, request: pb.RefreshAccountRequest, _context: Context
    ) -> pb.RefreshAccountResponse:
        validation.account_request(request)
        refreshed = await self._refresh.refresh(request.account_id)
        return pb.RefreshAccountResponse(
            subscriptions=[subscription_to_proto(each) for each in refreshed.subscriptions],
            drifted=refreshed.drifted,
            revision=str(refreshed.revision),
        )

    async def LinkCustomer(
        self, request: pb.LinkCustomerRequest, _context: Context
    ) -> pb.LinkCustomerResponse:
        validation.link_request(request)
        linked = await self._links.link(request.account_id, request.customer_id)
        return pb.LinkCustomerResponse(
            subscriptions=[subscription_to_proto(each) for each in linked.subscriptions],
            revision=str(linked.revision),
        )

    async def EraseAccount(
        self, request: pb.EraseAccountRequest, _context: Context
    ) -> pb.EraseAccountResponse:
        validation.account_request(request)
        erased = await self._erasure.erase(request.account_id)
        return pb.EraseAccountResponse(erased_events=erased)

    ExplainEntitlement = not_offered
    CreateGrant = not_offered
    RevokeGrant = not_offered
    ListGrants = not_offered
