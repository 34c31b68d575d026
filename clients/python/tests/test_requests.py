import uuid
from typing import Any

import pytest

from clients.python.tests.scripted_service import ScriptedService
from clients.python.tests.twins import Client, subscriptions
from paidup import CustomText, EntitlementCheck, LineItem, PortalFlow, UiMode
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1.entitlement_pb2 import Consistency, Entitlement
from paidup.v1.subscription_pb2 import Subscription

EVERYTHING_ABOUT_A_CHECKOUT: dict[str, Any] = {
    "account_id": "acme",
    "line_items": [LineItem(price="pro_monthly", quantity=3), LineItem(price="setup")],
    "ui_mode": UiMode.UI_MODE_HOSTED_PAGE,
    "return_url": "https://acme.example/back",
    "success_url": "https://acme.example/thanks",
    "cancel_url": "https://acme.example/plans",
    "customer_email": "ada@acme.example",
    "trial_period_days": 14,
    "allow_promotion_codes": True,
    "locale": "fr",
    "custom_text": CustomText(submit="Cancel any time."),
    "metadata": {"campaign": "spring"},
    "request_id": "3f0c0f3e-6a55-4b1c-9c5b-0e7d6f1f2a3b",
    "allow_additional_subscription": True,
}

EVERYTHING_ABOUT_A_PORTAL: dict[str, Any] = {
    "account_id": "acme",
    "return_url": "https://acme.example/account",
    "flow": PortalFlow.PORTAL_FLOW_SUBSCRIPTION_CANCEL,
    "subscription_id": "sub_1",
    "locale": "fr",
}

REQUESTS = [
    (
        "create_checkout_session",
        EVERYTHING_ABOUT_A_CHECKOUT,
        pb.CreateCheckoutSessionRequest(**EVERYTHING_ABOUT_A_CHECKOUT),
    ),
    (
        "get_session_status",
        {"account_id": "acme", "session_id": "cs_1"},
        pb.GetSessionStatusRequest(account_id="acme", session_id="cs_1"),
    ),
    (
        "create_portal_session",
        EVERYTHING_ABOUT_A_PORTAL,
        pb.CreatePortalSessionRequest(**EVERYTHING_ABOUT_A_PORTAL),
    ),
    (
        "create_portal_session",
        {"account_id": "acme"},
        pb.CreatePortalSessionRequest(account_id="acme"),
    ),
    (
        "check_entitlement",
        {"account_id": "acme", "feature": "api_access"},
        pb.CheckEntitlementRequest(account_id="acme", feature="api_access"),
    ),
    (
        "check_entitlement",
        {"account_id": "acme", "product_id": "prod_1", "at_least_revision": "r7"},
        pb.CheckEntitlementRequest(
            account_id="acme", product_id="prod_1", consistency=Consistency(at_least_revision="r7")
        ),
    ),
    (
        "check_entitlement",
        {"account_id": "acme", "feature": "api_access", "fully_consistent": True},
        pb.CheckEntitlementRequest(
            account_id="acme", feature="api_access", consistency=Consistency(fully_consistent=True)
        ),
    ),
    (
        "batch_check_entitlements",
        {
            "checks": [
                EntitlementCheck(account_id="acme", feature="api_access"),
                EntitlementCheck(account_id="globex", product_id="prod_1"),
            ],
            "at_least_revision": "r7",
        },
        pb.BatchCheckEntitlementsRequest(
            checks=[
                {"account_id": "acme", "feature": "api_access"},
                {"account_id": "globex", "product_id": "prod_1"},
            ],
            consistency=Consistency(at_least_revision="r7"),
        ),
    ),
    (
        "list_entitlements",
        {"account_id": "acme", "fully_consistent": True},
        pb.ListEntitlementsRequest(
            account_id="acme", consistency=Consistency(fully_consistent=True)
        ),
    ),
    (
        "list_subscriptions",
        {"account_id": "acme", "page_size": 5, "page_token": "next"},
        pb.ListSubscriptionsRequest(account_id="acme", page_size=5, page_token="next"),
    ),
]

RESPONSES = {
    "create_checkout_session": pb.CreateCheckoutSessionResponse(session_id="cs_1", reused=True),
    "get_session_status": pb.GetSessionStatusResponse(revision="r7"),
    "create_portal_session": pb.CreatePortalSessionResponse(url="https://portal.example"),
    "check_entitlement": pb.CheckEntitlementResponse(revision="r7"),
    "batch_check_entitlements": pb.BatchCheckEntitlementsResponse(revision="r7"),
    "list_entitlements": pb.ListEntitlementsResponse(revision="r7"),
    "list_subscriptions": pb.ListSubscriptionsResponse(next_page_token="next"),
}

DEADLINES = {
    "create_checkout_session": 30,
    "get_session_status": 15,
    "create_portal_session": 15,
    "check_entitlement": 2,
    "entitled": 2,
    "batch_check_entitlements": 5,
    "list_entitlements": 2,
    "list_subscriptions": 5,
}

MINIMAL: dict[str, dict[str, Any]] = {
    "create_checkout_session": {"account_id": "acme", "line_items": [LineItem(price="pro")]},
    "get_session_status": {"account_id": "acme", "session_id": "cs_1"},
    "create_portal_session": {"account_id": "acme"},
    "check_entitlement": {"account_id": "acme", "feature": "api_access"},
    "entitled": {"account_id": "acme", "feature": "api_access"},
    "batch_check_entitlements": {"checks": [EntitlementCheck(account_id="acme", feature="a")]},
    "list_entitlements": {"account_id": "acme"},
    "list_subscriptions": {"account_id": "acme"},
}


def rpc_of(method: str) -> str:
    return method.title().replace("_", "")


@pytest.mark.parametrize(("method", "arguments", "request_sent"), REQUESTS)
async def test_arguments_arrive_as_the_fields_of_the_same_name(
    service: ScriptedService,
    client: Client,
    method: str,
    arguments: dict[str, Any],
    request_sent: object,
) -> None:
    await getattr(client, method)(**arguments)

    [received] = service.received
    assert (received.rpc, received.request) == (rpc_of(method), request_sent)


@pytest.mark.parametrize("method", RESPONSES)
async def test_the_response_is_returned_whole(
    service: ScriptedService, client: Client, method: str
) -> None:
    service.answer(rpc_of(method), RESPONSES[method])

    assert await getattr(client, method)(**MINIMAL[method]) == RESPONSES[method]


@pytest.mark.parametrize("entitlement", [Entitlement(entitled=True), Entitlement()])
async def test_entitled_is_the_decision_alone(
    service: ScriptedService, client: Client, entitlement: Entitlement
) -> None:
    service.answer("CheckEntitlement", pb.CheckEntitlementResponse(entitlement=entitlement))

    answer = await client.entitled("acme", product_id="prod_1", at_least_revision="r7")

    assert answer is entitlement.entitled
    assert service.received[0].request == pb.CheckEntitlementRequest(
        account_id="acme", product_id="prod_1", consistency=Consistency(at_least_revision="r7")
    )


@pytest.mark.parametrize("method", ["check_entitlement", "entitled"])
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"feature": "api_access", "product_id": "prod_1"},
        {"feature": "api_access", "at_least_revision": "r7", "fully_consistent": True},
    ],
)
async def test_a_check_that_says_too_little_or_too_much_is_not_sent(
    service: ScriptedService, client: Client, method: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(TypeError, match="either"):
        await getattr(client, method)(account_id="acme", **arguments)

    assert service.received == []


async def test_every_checkout_without_a_request_id_gets_its_own(
    service: ScriptedService, client: Client
) -> None:
    for _ in range(2):
        await client.create_checkout_session(**MINIMAL["create_checkout_session"])

    first, second = (uuid.UUID(received.request.request_id) for received in service.received)
    assert first.version == second.version == 4
    assert first != second


@pytest.mark.parametrize(("method", "deadline"), DEADLINES.items())
async def test_every_call_has_a_deadline(
    service: ScriptedService, client: Client, method: str, deadline: float
) -> None:
    await getattr(client, method)(**MINIMAL[method])

    remaining = service.received[0].time_remaining
    assert remaining is not None
    assert remaining == pytest.approx(deadline, abs=1.5)


@pytest.mark.parametrize("method", DEADLINES)
async def test_a_call_may_set_its_own_deadline(
    service: ScriptedService, client: Client, method: str
) -> None:
    await getattr(client, method)(**MINIMAL[method], timeout=100)

    remaining = service.received[0].time_remaining
    assert remaining is not None
    assert remaining == pytest.approx(100, abs=1.5)


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
async def test_no_call_goes_without_a_deadline(
    service: ScriptedService, client: Client, seconds: float
) -> None:
    with pytest.raises(ValueError, match="positive number of seconds"):
        await client.entitled("acme", feature="api_access", timeout=seconds)

    assert service.received == []


def a_page(*ids: str, next_page_token: str = "") -> pb.ListSubscriptionsResponse:
    return pb.ListSubscriptionsResponse(
        subscriptions=[Subscription(subscription_id=id_) for id_ in ids],
        next_page_token=next_page_token,
    )


async def test_iterating_goes_through_all_pages_in_order(
    service: ScriptedService, client: Client
) -> None:
    service.answer(
        "ListSubscriptions",
        a_page("sub_4", "sub_3", next_page_token="second"),
        a_page(next_page_token="third"),  # a page may be empty without being the last
        a_page("sub_2", "sub_1"),
    )

    ids = await subscriptions(client, account_id="acme", page_size=2)

    assert ids == ["sub_4", "sub_3", "sub_2", "sub_1"]
    assert [received.request for received in service.received] == [
        pb.ListSubscriptionsRequest(account_id="acme", page_size=2, page_token=token)
        for token in ("", "second", "third")
    ]
    assert all(received.time_remaining for received in service.received)


async def test_iterating_fetches_no_page_before_it_is_needed(
    service: ScriptedService, client: Client
) -> None:
    service.answer("ListSubscriptions", a_page("sub_2", "sub_1", next_page_token="second"))

    assert await subscriptions(client, account_id="acme", at_most=2) == ["sub_2", "sub_1"]
    assert len(service.received) == 1
