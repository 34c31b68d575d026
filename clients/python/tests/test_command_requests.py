"""What each of the `paidup` commands sends."""

from typing import Any

import pytest

from clients.python.tests.command import END, paidup
from clients.python.tests.scripted_service import ScriptedService
from paidup import (
    EventState,
    LineItem,
    PortalFlow,
    UiMode,
)
from paidup.v1 import admin_service_pb2 as admin
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1.entitlement_pb2 import Consistency

RETURN_URL = "https://shop.example/back?session_id={CHECKOUT_SESSION_ID}"


#: What each command sends. The arguments of the first column, the request.
SENT: list[tuple[list[str], str, Any]] = [
    (
        ["check", "acme", "api_access"],
        "CheckEntitlement",
        pb.CheckEntitlementRequest(account_id="acme", feature="api_access"),
    ),
    (
        ["check", "acme", "--product", "prod_1", "--at-least-revision", "r7"],
        "CheckEntitlement",
        pb.CheckEntitlementRequest(
            account_id="acme", product_id="prod_1", consistency=Consistency(at_least_revision="r7")
        ),
    ),
    (
        ["list", "acme", "--fresh"],
        "ListEntitlements",
        pb.ListEntitlementsRequest(
            account_id="acme", consistency=Consistency(fully_consistent=True)
        ),
    ),
    (
        ["explain", "acme", "--product", "prod_1"],
        "ExplainEntitlement",
        admin.ExplainEntitlementRequest(account_id="acme", product_id="prod_1"),
    ),
    (
        ["subscriptions", "acme"],
        "ListSubscriptions",
        pb.ListSubscriptionsRequest(account_id="acme"),
    ),
    (
        [
            *["checkout", "acme", "pro_monthly=3", "setup", "--return-url", RETURN_URL],
            *["--email", "ada@acme.example", "--trial-days", "14", "--promotion-codes"],
            *["--locale", "fr", "--metadata", "campaign=spring=2", "--additional"],
            *["--request-id", "3f0c0f3e-6a55-4b1c-9c5b-0e7d6f1f2a3b"],
        ],
        "CreateCheckoutSession",
        pb.CreateCheckoutSessionRequest(
            account_id="acme",
            line_items=[LineItem(price="pro_monthly", quantity=3), LineItem(price="setup")],
            ui_mode=UiMode.UI_MODE_EMBEDDED_PAGE,
            return_url=RETURN_URL,
            customer_email="ada@acme.example",
            trial_period_days=14,
            allow_promotion_codes=True,
            locale="fr",
            metadata={"campaign": "spring=2"},
            allow_additional_subscription=True,
            request_id="3f0c0f3e-6a55-4b1c-9c5b-0e7d6f1f2a3b",
        ),
    ),
    (
        [
            *["portal", "acme", "--return-url", "https://shop.example", "--locale", "fr"],
            *["--flow", "subscription-cancel", "--subscription", "sub_1"],
        ],
        "CreatePortalSession",
        pb.CreatePortalSessionRequest(
            account_id="acme",
            return_url="https://shop.example",
            flow=PortalFlow.PORTAL_FLOW_SUBSCRIPTION_CANCEL,
            subscription_id="sub_1",
            locale="fr",
        ),
    ),
    (
        [
            *["grant", "acme", "reports", "--note", "a favour", "--expires", "2027-01-31T12:00"],
            *["--request-id", "3f0c0f3e-6a55-4b1c-9c5b-0e7d6f1f2a3b"],
        ],
        "CreateGrant",
        admin.CreateGrantRequest(
            account_id="acme",
            feature="reports",
            note="a favour",
            expire_time=END,
            request_id="3f0c0f3e-6a55-4b1c-9c5b-0e7d6f1f2a3b",
        ),
    ),
    (["revoke", "grant_1"], "RevokeGrant", admin.RevokeGrantRequest(grant_id="grant_1")),
    (["grants", "acme"], "ListGrants", admin.ListGrantsRequest(account_id="acme")),
    (
        ["events", "--account", "acme", "--state", "failed", "--limit", "7"],
        "ListEvents",
        admin.ListEventsRequest(
            account_id="acme", state=EventState.EVENT_STATE_FAILED, page_size=7
        ),
    ),
    (["replay", "evt_1"], "ReplayEvent", admin.ReplayEventRequest(event_id="evt_1")),
    (["refresh", "acme"], "RefreshAccount", admin.RefreshAccountRequest(account_id="acme")),
    (
        ["link", "acme", "cus_1"],
        "LinkCustomer",
        admin.LinkCustomerRequest(account_id="acme", customer_id="cus_1"),
    ),
    (["erase", "acme", "--yes"], "EraseAccount", admin.EraseAccountRequest(account_id="acme")),
    (
        ["audit", "--account", "acme", "--caller", "desk", "--method", "CreateGrant"],
        "ListAuditEntries",
        admin.ListAuditEntriesRequest(
            account_id="acme", caller="desk", method="CreateGrant", page_size=50
        ),
    ),
]


@pytest.mark.parametrize(
    ("arguments", "rpc", "request_sent"), SENT, ids=lambda each: str(each)[:40]
)
async def test_options_arrive_as_the_fields_of_the_request(
    service: ScriptedService, arguments: list[str], rpc: str, request_sent: Any
) -> None:
    ended = await paidup(*arguments, "--json", address=service.address)

    [received] = service.received
    assert (received.rpc, received.request) == (rpc, request_sent)
    assert ended.err == ""
    # An empty answer entitles nobody.
    assert ended.code == (1 if arguments[0] == "check" else 0)


@pytest.mark.parametrize("command", sorted({"watch", *(arguments[0] for arguments, _, _ in SENT)}))
async def test_every_command_tells_its_options_and_how_it_ends(command: str) -> None:
    ended = await paidup(command, "--help", env={"COLUMNS": "200"})

    assert ended.code == 0
    assert "--json" in ended.out
    assert "--address" in ended.out
    codes = "with 1 if not, and with 2" if command == "check" else "Ends with 0, or with 2"
    assert codes in ended.out
