"""The administration's clients: the suite of `test_requests`, for the other service."""

import uuid
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo

import paidup
from clients.python.tests.scripted_service import Failure, ScriptedService
from clients.python.tests.twins import items
from paidup import EventState
from paidup.v1 import admin_service_pb2 as pb

END = datetime(2027, 1, 1, tzinfo=UTC)
REQUEST_ID = "3f0c0f3e-6a55-4b1c-9c5b-0e7d6f1f2a3b"

#: Method, arguments, which are the request's fields too, and the seconds that it waits.
CALLS: list[tuple[str, dict[str, Any], float]] = [
    ("explain_entitlement", {"account_id": "acme", "feature": "api_access"}, 5),
    ("explain_entitlement", {"account_id": "acme", "product_id": "prod_1"}, 5),
    (
        "create_grant",
        {
            "account_id": "acme",
            "feature": "reports",
            "note": "a favour",
            "expire_time": END,
            "request_id": REQUEST_ID,
        },
        5,
    ),
    ("revoke_grant", {"grant_id": "grant_1"}, 5),
    ("list_grants", {"account_id": "acme", "page_size": 5, "page_token": "next"}, 5),
    ("list_events", {}, 5),
    (
        "list_events",
        {
            "account_id": "acme",
            "state": EventState.EVENT_STATE_FAILED,
            "page_size": 5,
            "page_token": "next",
        },
        5,
    ),
    ("replay_event", {"event_id": "evt_1"}, 15),
    ("refresh_account", {"account_id": "acme"}, 30),
    ("link_customer", {"account_id": "acme", "customer_id": "cus_1"}, 30),
    ("erase_account", {"account_id": "acme"}, 30),
    ("list_audit_entries", {}, 5),
    (
        "list_audit_entries",
        {
            "account_id": "acme",
            "caller": "desk",
            "method": "CreateGrant",
            "page_size": 5,
            "page_token": "next",
        },
        5,
    ),
]

RESPONSES = {
    "explain_entitlement": pb.ExplainEntitlementResponse(explanation=["Because."]),
    "create_grant": pb.CreateGrantResponse(revision="r7"),
    "revoke_grant": pb.RevokeGrantResponse(revision="r8"),
    "list_grants": pb.ListGrantsResponse(next_page_token="next"),
    "list_events": pb.ListEventsResponse(next_page_token="next"),
    "replay_event": pb.ReplayEventResponse(event=pb.Event(event_id="evt_1")),
    "refresh_account": pb.RefreshAccountResponse(drifted=True),
    "link_customer": pb.LinkCustomerResponse(revision="r9"),
    "erase_account": pb.EraseAccountResponse(erased_events=3),
    "list_audit_entries": pb.ListAuditEntriesResponse(next_page_token="next"),
}


def rpc_of(method: str) -> str:
    return method.title().replace("_", "")


@pytest.mark.parametrize(("method", "arguments", "deadline"), CALLS)
async def test_arguments_arrive_and_the_response_is_returned_whole(
    service: ScriptedService,
    admin_client: Any,
    method: str,
    arguments: dict[str, Any],
    deadline: float,
) -> None:
    service.answer(rpc_of(method), RESPONSES[method])

    answer = await getattr(admin_client, method)(**arguments)

    [received] = service.received
    assert answer == RESPONSES[method]
    assert received.rpc == rpc_of(method)
    assert received.request == getattr(pb, f"{received.rpc}Request")(**arguments)
    assert received.time_remaining == pytest.approx(deadline, abs=1.5)


async def test_every_grant_without_a_request_id_gets_its_own(
    service: ScriptedService, admin_client: Any
) -> None:
    for _ in range(2):
        await admin_client.create_grant(account_id="acme", feature="reports", note="a favour")

    first, second = (uuid.UUID(received.request.request_id) for received in service.received)
    assert first.version == second.version == 4
    assert first != second


async def test_a_grants_end_without_a_time_zone_is_not_sent(
    service: ScriptedService, admin_client: Any
) -> None:
    naive = END.replace(tzinfo=None)

    with pytest.raises(ValueError, match="time zone"):
        await admin_client.create_grant(
            account_id="acme", feature="reports", note="a favour", expire_time=naive
        )

    assert service.received == []


@pytest.mark.parametrize("subject", [{}, {"feature": "api_access", "product_id": "prod_1"}])
async def test_an_explanation_is_of_one_subject(
    service: ScriptedService, admin_client: Any, subject: dict[str, str]
) -> None:
    with pytest.raises(TypeError, match="either"):
        await admin_client.explain_entitlement(account_id="acme", **subject)

    assert service.received == []


async def test_grants_and_events_are_gone_through_page_by_page(
    service: ScriptedService, admin_client: Any
) -> None:
    grants = [pb.Grant(grant_id=f"grant_{number}") for number in range(3)]
    events = [pb.Event(event_id=f"evt_{number}") for number in range(3)]
    service.answer(
        "ListGrants",
        pb.ListGrantsResponse(grants=grants[:2], next_page_token="second"),
        pb.ListGrantsResponse(grants=grants[2:]),
    )
    service.answer(
        "ListEvents",
        pb.ListEventsResponse(events=events[:1], next_page_token="second"),
        pb.ListEventsResponse(events=events[1:]),
    )

    state = EventState.EVENT_STATE_SKIPPED
    assert await items(admin_client, "iter_grants", account_id="acme", page_size=2) == grants
    assert await items(admin_client, "iter_events", state=state) == events
    assert [received.request for received in service.received] == [
        pb.ListGrantsRequest(account_id="acme", page_size=2),
        pb.ListGrantsRequest(account_id="acme", page_size=2, page_token="second"),
        pb.ListEventsRequest(state=state),
        pb.ListEventsRequest(state=state, page_token="second"),
    ]


async def test_what_was_changed_is_gone_through_page_by_page(
    service: ScriptedService, admin_client: Any
) -> None:
    entries = [pb.AuditEntry(entry_id=f"audit_{number}") for number in range(3)]
    service.answer(
        "ListAuditEntries",
        pb.ListAuditEntriesResponse(entries=entries[:1], next_page_token="second"),
        pb.ListAuditEntriesResponse(entries=entries[1:]),
    )
    wanted = {"account_id": "acme", "caller": "desk", "method": "CreateGrant", "page_size": 1}

    assert await items(admin_client, "iter_audit_entries", **wanted) == entries
    assert [received.request for received in service.received] == [
        pb.ListAuditEntriesRequest(**wanted),
        pb.ListAuditEntriesRequest(**wanted, page_token="second"),
    ]


async def test_a_refusal_is_raised_as_the_clients_own_exception(
    service: ScriptedService, admin_client: Any
) -> None:
    info = ErrorInfo(
        reason="ERROR_REASON_GRANT_NOT_FOUND",
        domain="paidup.dev",
        metadata={"grant_id": "grant_1"},
    )
    service.answer("RevokeGrant", Failure(code=grpc.StatusCode.NOT_FOUND, details=[info]))

    with pytest.raises(paidup.NotFound) as refused:
        await admin_client.revoke_grant(grant_id="grant_1")

    assert refused.value.metadata == {"grant_id": "grant_1"}


@pytest.mark.parametrize(
    ("method", "arguments", "attempts"),
    [
        ("list_events", {}, 2),
        ("list_audit_entries", {}, 2),
        ("create_grant", {"account_id": "acme", "feature": "reports", "note": "a favour"}, 2),
        ("erase_account", {"account_id": "acme"}, 1),
        ("revoke_grant", {"grant_id": "grant_1"}, 1),
    ],
)
async def test_only_what_is_safe_is_sent_again(
    service: ScriptedService,
    admin_client: Any,
    method: str,
    arguments: dict[str, Any],
    attempts: int,
) -> None:
    service.answer(rpc_of(method), Failure(code=grpc.StatusCode.UNAVAILABLE))

    try:
        await getattr(admin_client, method)(**arguments)
    except paidup.Unavailable:
        assert attempts == 1

    assert len(service.received) == attempts
    assert len({str(received.request) for received in service.received}) == 1
