"""A caller with accounts of its own: no request of any method is about others."""

import pytest
from grpc import StatusCode

from paidup.v1 import admin_service_pb2 as admin
from paidup.v1 import billing_service_pb2 as pb
from tests.access.serving import METHODS, call, outcome

pytestmark = pytest.mark.asyncio(loop_scope="session")

OWN, OTHER = "acme", "globex"
#: Where a request names its accounts elsewhere than in `account_id`.
SHAPES = {
    "BatchCheckEntitlements": lambda accounts: {
        "checks": [{"account_id": each} for each in accounts]
    },
    "WatchEntitlements": lambda accounts: {"account_ids": accounts},
}
#: What such a caller may not call, and what decides by what it finds.
OF_ALL_ACCOUNTS = {"LinkCustomer", "ReplayEvent"}
DECIDES_LATER = {"RevokeGrant"}


def _request(method: str, *accounts: str):
    kind = METHODS[method].input_type._concrete_class
    if method in SHAPES:
        return kind(**SHAPES[method](accounts))
    named = "account_id" in METHODS[method].input_type.fields_by_name and accounts
    return kind(account_id=accounts[0]) if named else kind()


async def _outcomes(running, *accounts: str) -> dict[str, StatusCode]:
    files, served, _ = running
    async with served.channel(tokens=True) as channel:
        return {
            method: await outcome(
                call(channel, method, _request(method, *accounts), files.tokens["tenant"])
            )
            for method in METHODS
        }


@pytest.mark.parametrize("account", [OWN, "acme-", "acme-1"])
async def test_its_own_accounts_are_its_own_everywhere(running, account):
    outcomes = await _outcomes(running, account)

    let_in = {name for name, code in outcomes.items() if code is StatusCode.OK}
    assert let_in == set(METHODS) - OF_ALL_ACCOUNTS


@pytest.mark.parametrize("account", [OTHER, "acme2", "ACME", "acm", " acme", "acme\n"])
async def test_of_others_it_is_let_in_nowhere(running, account):
    outcomes = await _outcomes(running, account)

    let_in = {name for name, code in outcomes.items() if code is StatusCode.OK}
    assert let_in == DECIDES_LATER


async def test_where_no_account_is_named_all_would_be_meant(running):
    outcomes = await _outcomes(running)

    assert {code for name, code in outcomes.items() if name not in DECIDES_LATER} == {
        StatusCode.PERMISSION_DENIED
    }


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        (
            "BatchCheckEntitlements",
            pb.BatchCheckEntitlementsRequest(
                checks=[{"account_id": OWN}] * 999 + [{"account_id": OTHER}]
            ),
        ),
        ("WatchEntitlements", pb.WatchEntitlementsRequest(account_ids=[OWN, OTHER])),
        ("WatchEntitlements", pb.WatchEntitlementsRequest(account_ids=[OWN, ""])),
        ("ListEvents", admin.ListEventsRequest(state=admin.EVENT_STATE_FAILED)),
    ],
)
async def test_one_account_of_others_spoils_the_request(running, method, request_):
    files, served, _ = running

    async with served.channel(tokens=True) as channel:
        begun = call(channel, method, request_, files.tokens["tenant"])
        assert await outcome(begun) is StatusCode.PERMISSION_DENIED
