import copy
import pickle
import re
import socket
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, DebugInfo, ErrorInfo, RetryInfo

import paidup
from clients.python.tests.scripted_service import Failure, ScriptedService, Silence
from clients.python.tests.twins import Client
from paidup import (
    AlreadySubscribed,
    Conflict,
    DeadlineExceeded,
    ErrorReason,
    FieldViolation,
    InvalidRequest,
    NotFound,
    PaidupError,
    PermissionDenied,
    ServiceFault,
    SubscriptionAmbiguous,
    Unauthenticated,
    Unavailable,
    _errors,
)

Code = grpc.StatusCode

#: The code that each reason comes with, and what the caller gets.
REASONS = {
    "INVALID_REQUEST": (Code.INVALID_ARGUMENT, InvalidRequest),
    "URL_NOT_ALLOWED": (Code.INVALID_ARGUMENT, InvalidRequest),
    "PRICE_NOT_FOUND": (Code.NOT_FOUND, NotFound),
    "ALREADY_SUBSCRIBED": (Code.FAILED_PRECONDITION, AlreadySubscribed),
    "SESSION_NOT_FOUND": (Code.NOT_FOUND, NotFound),
    "CUSTOMER_NOT_FOUND": (Code.NOT_FOUND, NotFound),
    "REQUEST_ID_REUSED": (Code.ALREADY_EXISTS, Conflict),
    "UNAUTHENTICATED": (Code.UNAUTHENTICATED, Unauthenticated),
    "METHOD_NOT_ALLOWED": (Code.PERMISSION_DENIED, PermissionDenied),
    "STRIPE_UNAVAILABLE": (Code.UNAVAILABLE, Unavailable),
    "STATE_UNAVAILABLE": (Code.UNAVAILABLE, Unavailable),
    "STRIPE_MISCONFIGURED": (Code.FAILED_PRECONDITION, ServiceFault),
    "REVISION_NOT_REACHED": (Code.UNAVAILABLE, Unavailable),
    "INVALID_TOKEN": (Code.INVALID_ARGUMENT, InvalidRequest),
    "GRANT_NOT_FOUND": (Code.NOT_FOUND, NotFound),
    "EVENT_NOT_FOUND": (Code.NOT_FOUND, NotFound),
    "SUBSCRIPTION_AMBIGUOUS": (Code.FAILED_PRECONDITION, SubscriptionAmbiguous),
    "OVERLOADED": (Code.RESOURCE_EXHAUSTED, Unavailable),
    "CUSTOMER_LINKED": (Code.ALREADY_EXISTS, Conflict),
    "ACCOUNT_NOT_ALLOWED": (Code.PERMISSION_DENIED, PermissionDenied),
}

#: What a code means where no reason says more.
CODES = {
    Code.CANCELLED: Unavailable,
    Code.UNKNOWN: ServiceFault,
    Code.INVALID_ARGUMENT: InvalidRequest,
    Code.DEADLINE_EXCEEDED: DeadlineExceeded,
    Code.NOT_FOUND: NotFound,
    Code.ALREADY_EXISTS: Conflict,
    Code.PERMISSION_DENIED: PermissionDenied,
    Code.RESOURCE_EXHAUSTED: Unavailable,
    Code.FAILED_PRECONDITION: Conflict,
    Code.ABORTED: Unavailable,
    Code.OUT_OF_RANGE: InvalidRequest,
    Code.UNIMPLEMENTED: ServiceFault,
    Code.INTERNAL: ServiceFault,
    Code.UNAVAILABLE: Unavailable,
    Code.DATA_LOSS: ServiceFault,
    Code.UNAUTHENTICATED: Unauthenticated,
}


def an_error_info(reason: str, **metadata: str) -> ErrorInfo:
    return ErrorInfo(reason=f"ERROR_REASON_{reason}", domain="paidup.dev", metadata=metadata)


async def the_error(
    service: ScriptedService, client: Client, code: Code, *details: Message, **failure: Any
) -> PaidupError:
    """Return what a call raises that fails with this. The call is one that is not repeated."""
    service.answer("CreatePortalSession", Failure(code=code, details=details, **failure))
    with pytest.raises(PaidupError) as raised:
        await client.create_portal_session(account_id="acme")
    return raised.value


def test_every_reason_and_every_code_is_covered_here() -> None:
    assert {f"ERROR_REASON_{reason}" for reason in REASONS} | {"ERROR_REASON_UNSPECIFIED"} == set(
        ErrorReason.keys()
    )
    assert set(CODES) | {Code.OK} == set(Code)


@pytest.mark.parametrize("reason", REASONS)
async def test_each_reason_raises_what_the_caller_can_act_on(
    service: ScriptedService, client: Client, reason: str
) -> None:
    code, error_class = REASONS[reason]

    error = await the_error(service, client, code, an_error_info(reason))

    assert type(error) is error_class
    assert error.code is code
    assert error.reason == ErrorReason.Value(f"ERROR_REASON_{reason}")
    assert error.reason_name == f"ERROR_REASON_{reason}"


@pytest.mark.parametrize("code", CODES)
async def test_without_a_reason_the_code_decides(
    service: ScriptedService, client: Client, code: Code
) -> None:
    error = await the_error(service, client, code)

    assert type(error) is CODES[code]
    assert error.code is code
    assert error.reason == ErrorReason.ERROR_REASON_UNSPECIFIED
    assert error.reason_name == ""


async def test_an_error_carries_all_that_the_service_told(
    service: ScriptedService, client: Client
) -> None:
    violation = BadRequest.FieldViolation(field="account_id", description="It is too long.")
    error = await the_error(
        service,
        client,
        Code.INVALID_ARGUMENT,
        DebugInfo(detail="of a kind that no client of ours reads"),
        an_error_info("INVALID_REQUEST", account_id="acme", limit="200"),
        BadRequest(field_violations=[violation]),
        RetryInfo(retry_delay=Duration(seconds=2, nanos=500_000_000)),
        message="account_id: It is too long.",
    )

    assert str(error) == "account_id: It is too long."
    assert error.metadata == {"account_id": "acme", "limit": "200"}
    assert error.field_violations == (
        FieldViolation(field="account_id", description="It is too long."),
    )
    assert error.retry_delay == timedelta(seconds=2.5)
    assert isinstance(error.__cause__, grpc.RpcError)


async def test_an_error_without_details_has_none(service: ScriptedService, client: Client) -> None:
    error = await the_error(service, client, Code.NOT_FOUND)

    assert (error.metadata, error.field_violations, error.retry_delay) == ({}, (), None)


async def test_an_error_without_a_message_is_named_for_its_code(
    service: ScriptedService, client: Client
) -> None:
    assert str(await the_error(service, client, Code.ABORTED, message="")) == "ABORTED"


async def test_a_reason_newer_than_the_client_is_kept_by_name(
    service: ScriptedService, client: Client
) -> None:
    info = an_error_info("INVENTED_LATER", account_id="acme")

    error = await the_error(service, client, Code.NOT_FOUND, info)

    assert type(error) is NotFound
    assert error.reason == ErrorReason.ERROR_REASON_UNSPECIFIED
    assert error.reason_name == "ERROR_REASON_INVENTED_LATER"
    assert error.metadata == {"account_id": "acme"}


async def test_a_reason_of_somebody_else_is_not_taken_for_ours(
    service: ScriptedService, client: Client
) -> None:
    info = ErrorInfo(reason="ERROR_REASON_ALREADY_SUBSCRIBED", domain="proxy.example")

    error = await the_error(service, client, Code.FAILED_PRECONDITION, info)

    assert type(error) is Conflict
    assert error.reason_name == ""


async def test_malformed_details_leave_the_code(service: ScriptedService, client: Client) -> None:
    error = await the_error(service, client, Code.NOT_FOUND, raw_details=b"\xff not a status")

    assert type(error) is NotFound
    assert error.reason == ErrorReason.ERROR_REASON_UNSPECIFIED


async def test_no_answer_in_time_is_a_deadline_exceeded(
    service: ScriptedService, client: Client
) -> None:
    service.answer("CheckEntitlement", Silence())

    with pytest.raises(DeadlineExceeded) as raised:
        await client.entitled("acme", feature="api_access", timeout=0.2)

    assert raised.value.code is Code.DEADLINE_EXCEEDED
    assert isinstance(raised.value, Unavailable)


async def test_no_server_is_unavailable(client_class: Any) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, but not listening
        async with client_class(f"127.0.0.1:{nobody.getsockname()[1]}") as client:
            with pytest.raises(Unavailable) as raised:
                await client.create_portal_session(account_id="acme")

    assert raised.value.code is Code.UNAVAILABLE


@pytest.mark.parametrize("duplicate", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_survives_the_way_to_another_process(duplicate: Any) -> None:
    error = AlreadySubscribed(
        "no",
        code=Code.FAILED_PRECONDITION,
        reason=ErrorReason.ERROR_REASON_ALREADY_SUBSCRIBED,
        metadata={"subscription_id": "sub_1"},
        field_violations=[FieldViolation(field="a", description="b")],
        retry_delay=timedelta(seconds=1),
    )

    copied = duplicate(error)

    assert type(copied) is AlreadySubscribed
    assert (str(copied), vars(copied)) == (str(error), vars(error))


def test_the_tree_is_the_one_that_is_drawn() -> None:
    def drawn(of: type[PaidupError], indent: str = "") -> list[str]:
        names = []
        for child in of.__subclasses__():
            last = child is of.__subclasses__()[-1]
            names.append(f"{indent}{'└── ' if last else '├── '}{child.__name__}")
            names += drawn(child, indent + ("    " if last else "│   "))
        return names

    tree = re.findall(r"^[│ ]*[├└]── \w+", _errors.__doc__ or "", re.MULTILINE)

    assert tree == drawn(PaidupError)
    assert all(line.split()[-1] in paidup.__all__ for line in tree)
