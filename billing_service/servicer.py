"""The contract's `BillingService`: each method translates in, asks, and translates out."""

import grpc

from billing_service import page_tokens, subscription_lists, validation
from billing_service.checkout import Checkout, Offer
from billing_service.checks import ANY, LONGEST_WAIT, Checks, Wanted
from billing_service.errors import InvalidToken
from billing_service.order import order_from_proto
from billing_service.portal import Flow, Portal, PortalVisit
from billing_service.session_status import SessionState, SessionStatuses
from billing_service.to_proto import (
    entitlement_to_proto,
    payment_status_to_proto,
    revision_to_proto,
    session_status_to_proto,
    subscription_to_proto,
    time_to_proto,
)
from billing_service.urls import AllowedOrigins
from billing_service.watchers import Watchers
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1 import billing_service_pb2_grpc
from subscription_state.database import Database
from subscription_state.entitlements import Subject
from subscription_state.errors import InvalidRevision
from subscription_state.from_stripe import moment
from subscription_state.revision import Revision

Context = grpc.aio.ServicerContext
Consistent = (
    pb.CheckEntitlementRequest | pb.BatchCheckEntitlementsRequest | pb.ListEntitlementsRequest
)

_FLOWS = {
    pb.PORTAL_FLOW_UNSPECIFIED: Flow.HOME,
    pb.PORTAL_FLOW_PAYMENT_METHOD_UPDATE: Flow.PAYMENT_METHOD_UPDATE,
    pb.PORTAL_FLOW_SUBSCRIPTION_CANCEL: Flow.SUBSCRIPTION_CANCEL,
    pb.PORTAL_FLOW_SUBSCRIPTION_UPDATE: Flow.SUBSCRIPTION_UPDATE,
}


class BillingServicer(billing_service_pb2_grpc.BillingServiceServicer):
    """Serves `paidup.v1.BillingService`."""

    def __init__(
        self,
        *,
        database: Database,
        checkout: Checkout,
        session_statuses: SessionStatuses,
        portal: Portal,
        checks: Checks,
        watchers: Watchers,
        origins: AllowedOrigins,
        publishable_key: str,
    ) -> None:
        self._database = database
        self._checkout = checkout
        self._session_statuses = session_statuses
        self._portal = portal
        self._checks = checks
        self._watchers = watchers
        self._origins = origins
        self._publishable_key = publishable_key

    async def CreateCheckoutSession(
        self, request: pb.CreateCheckoutSessionRequest, _context: Context
    ) -> pb.CreateCheckoutSessionResponse:
        validation.checkout_request(request, self._origins)
        offer = await self._checkout.create(order_from_proto(request))
        return self._offer_to_proto(offer)

    def _offer_to_proto(self, offer: Offer) -> pb.CreateCheckoutSessionResponse:
        session = offer.session
        return pb.CreateCheckoutSessionResponse(
            session_id=session["id"],
            client_secret=session.get("client_secret") or "",
            url=session.get("url") or "",
            publishable_key=self._publishable_key,
            expire_time=time_to_proto(moment(session["expires_at"])),
            customer_id=session["customer"],
            reused=offer.reused,
        )

    async def GetSessionStatus(
        self, request: pb.GetSessionStatusRequest, _context: Context
    ) -> pb.GetSessionStatusResponse:
        validation.session_status_request(request)
        state = await self._session_statuses.get(request.account_id, request.session_id)
        return _session_state_to_proto(state)

    async def CreatePortalSession(
        self, request: pb.CreatePortalSessionRequest, _context: Context
    ) -> pb.CreatePortalSessionResponse:
        validation.portal_request(request, self._origins)
        visit = PortalVisit(
            account_id=request.account_id,
            return_url=request.return_url,
            flow=_FLOWS[request.flow],
            subscription_id=request.subscription_id,
            locale=request.locale,
        )
        session = await self._portal.open(visit)
        return pb.CreatePortalSessionResponse(session_id=session["id"], url=session["url"])

    async def CheckEntitlement(
        self, request: pb.CheckEntitlementRequest, context: Context
    ) -> pb.CheckEntitlementResponse:
        validation.check_request(request)
        subject = Subject(feature=request.feature, product_id=request.product_id)
        answer = await self._checks.check(
            [(request.account_id, subject)], _wanted(request, context)
        )
        return pb.CheckEntitlementResponse(
            entitlement=entitlement_to_proto(request.account_id, subject, answer.decisions[0]),
            revision=revision_to_proto(answer.revision),
        )

    async def BatchCheckEntitlements(
        self, request: pb.BatchCheckEntitlementsRequest, context: Context
    ) -> pb.BatchCheckEntitlementsResponse:
        validation.batch_check_request(request)
        pairs = [
            (each.account_id, Subject(feature=each.feature, product_id=each.product_id))
            for each in request.checks
        ]
        answer = await self._checks.check(pairs, _wanted(request, context))
        return pb.BatchCheckEntitlementsResponse(
            entitlements=[
                entitlement_to_proto(*pair, decision)
                for pair, decision in zip(pairs, answer.decisions, strict=True)
            ],
            revision=revision_to_proto(answer.revision),
        )

    async def ListEntitlements(
        self, request: pb.ListEntitlementsRequest, context: Context
    ) -> pb.ListEntitlementsResponse:
        validation.list_entitlements_request(request)
        listing = await self._checks.list_entitled(request.account_id, _wanted(request, context))
        return pb.ListEntitlementsResponse(
            entitlements=[
                entitlement_to_proto(request.account_id, subject, decision)
                for subject, decision in listing.entitled
            ],
            revision=revision_to_proto(listing.revision),
        )

    async def ListSubscriptions(
        self, request: pb.ListSubscriptionsRequest, _context: Context
    ) -> pb.ListSubscriptionsResponse:
        validation.account_page_request(request)
        page = await subscription_lists.list_page(
            self._database,
            request.account_id,
            size=page_tokens.page_size(request.page_size),
            token=request.page_token,
        )
        return pb.ListSubscriptionsResponse(
            subscriptions=[subscription_to_proto(each) for each in page.subscriptions],
            next_page_token=page.next_page_token,
        )

    async def WatchEntitlements(
        self, request: pb.WatchEntitlementsRequest, context: Context
    ) -> None:
        validation.watch_request(request)
        resume = _revision(request.resume_revision) if request.resume_revision else None
        # What is written is encoded already: see `interceptors.ENCODED`.
        await self._watchers.stream(
            context.write, account_ids=frozenset(request.account_ids), resume=resume
        )


def _revision(token: str) -> Revision:
    try:
        return Revision.parse(token)
    except InvalidRevision as error:
        raise InvalidToken("resume_revision") from error


def _wanted(request: Consistent, context: Context) -> Wanted:
    if not request.HasField("consistency"):
        return ANY
    consistency = request.consistency
    required = consistency.WhichOneof("requirement")
    return Wanted(
        at_least=consistency.at_least_revision if required == "at_least_revision" else None,
        seconds=validation.longest_wait(context.time_remaining(), LONGEST_WAIT),
        fully_consistent=consistency.fully_consistent,
    )


def _session_state_to_proto(state: SessionState) -> pb.GetSessionStatusResponse:
    session = state.session or {}
    ended = state.status == "complete"
    response = pb.GetSessionStatusResponse(
        status=session_status_to_proto(state.status),
        payment_status=payment_status_to_proto(state.payment_status),
        revision=revision_to_proto(state.revision),
    )
    if ended:
        response.customer_email = (session.get("customer_details") or {}).get("email") or ""
        response.subscription_id = session.get("subscription") or ""
    elif state.status == "open":
        response.client_secret = session.get("client_secret") or ""
        response.url = session.get("url") or ""
    return response
