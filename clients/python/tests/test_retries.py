import asyncio
from typing import Any

import grpc
import pytest

from clients.python.tests.scripted_service import Failure, ScriptedService
from clients.python.tests.test_requests import MINIMAL
from clients.python.tests.twins import Client
from paidup import DeadlineExceeded, PaidupError, Unavailable

UNAVAILABLE = Failure(code=grpc.StatusCode.UNAVAILABLE)

REPEATED = {
    "create_checkout_session": "CreateCheckoutSession",
    "get_session_status": "GetSessionStatus",
    "check_entitlement": "CheckEntitlement",
    "entitled": "CheckEntitlement",
    "batch_check_entitlements": "BatchCheckEntitlements",
    "list_entitlements": "ListEntitlements",
    "list_subscriptions": "ListSubscriptions",
}


async def call(client: Client, method: str, **more: Any) -> Any:
    return await getattr(client, method)(**MINIMAL[method], **more)


@pytest.mark.parametrize(("method", "rpc"), REPEATED.items())
async def test_what_is_safe_to_repeat_is_repeated_unchanged(
    service: ScriptedService, client: Client, method: str, rpc: str
) -> None:
    service.answer(rpc, UNAVAILABLE, UNAVAILABLE)

    await call(client, method)

    first, second, third = (received.request for received in service.received)
    assert first == second == third


async def test_a_made_request_id_stays_the_same_over_all_attempts(
    service: ScriptedService, client: Client
) -> None:
    service.answer("CreateCheckoutSession", UNAVAILABLE, UNAVAILABLE)

    await call(client, "create_checkout_session")

    request_ids = [received.request.request_id for received in service.received]
    assert len(request_ids) == 3
    assert len(set(request_ids)) == 1
    assert request_ids[0]


async def test_a_portal_session_is_asked_for_once(service: ScriptedService, client: Client) -> None:
    service.answer("CreatePortalSession", UNAVAILABLE)

    with pytest.raises(Unavailable):
        await call(client, "create_portal_session")

    assert len(service.received) == 1


async def test_the_fourth_attempt_is_the_last(service: ScriptedService, client: Client) -> None:
    service.answer("CheckEntitlement", *[UNAVAILABLE] * 5)

    with pytest.raises(Unavailable):
        await call(client, "check_entitlement")

    assert len(service.received) == 4


@pytest.mark.parametrize(
    "code", [code for code in grpc.StatusCode if code.name not in {"OK", "UNAVAILABLE"}]
)
async def test_nothing_but_unavailability_is_worth_another_attempt(
    service: ScriptedService, client: Client, code: grpc.StatusCode
) -> None:
    service.answer("CheckEntitlement", Failure(code=code))

    with pytest.raises(PaidupError) as raised:
        await call(client, "check_entitlement")

    assert raised.value.code is code
    assert len(service.received) == 1


async def test_attempts_end_with_the_deadline(service: ScriptedService, client: Client) -> None:
    service.answer("CheckEntitlement", *[UNAVAILABLE] * 5)

    with pytest.raises((DeadlineExceeded, Unavailable)):
        await call(client, "check_entitlement", timeout=0.15)

    assert len(service.received) < 4


async def test_nothing_is_repeated_while_most_calls_fail(
    service: ScriptedService, client: Client
) -> None:
    service.answer("CheckEntitlement", *[UNAVAILABLE] * 1000)
    calls = (call(client, "check_entitlement", timeout=30) for _ in range(20))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    attempts = len(service.received)

    with pytest.raises(Unavailable):
        await call(client, "check_entitlement")

    assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
    assert len(service.received) == attempts + 1
