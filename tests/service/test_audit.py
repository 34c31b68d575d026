"""What callers change is listed with who did it, over a real channel, on both databases."""

import asyncio
import uuid

import pytest

import paidup
from billing_service import page_tokens
from paidup.v1 import error_reason_pb2 as reasons
from tests.service.shop import LONGEST_WAIT

pytestmark = pytest.mark.asyncio(loop_scope="session")

ANYBODY = "unauthenticated"


@pytest.fixture
def noted(administration, account):
    """Give what was noted of the account, oldest first: method and facts."""

    async def listed(**wanted):
        page = await administration.list_audit_entries(account_id=account, page_size=100, **wanted)
        return [(each.method, dict(each.facts)) for each in reversed(page.entries)]

    return listed


async def test_grants_are_noted_as_they_are_given_and_revoked(administration, noted, account):
    granted = await administration.grant(account, "reports")
    await administration.revoke(granted.grant.grant_id)

    facts = {"grant_id": granted.grant.grant_id}
    assert await noted() == [("CreateGrant", facts), ("RevokeGrant", facts)]


async def test_an_entry_tells_when_and_by_whom(stack, administration, account):
    granted = await administration.grant(account, "reports")

    (entry,) = (await administration.list_audit_entries(account_id=account)).entries

    assert entry.caller == granted.grant.creator == ANYBODY
    assert entry.create_time == granted.grant.create_time
    assert entry.entry_id.startswith("audit_")
    assert entry.account_id == account
    # As the log has it, so that the one leads to the other.
    assert entry.request_id
    async with asyncio.timeout(LONGEST_WAIT):
        while not any(entry.request_id in line and "CreateGrant" in line for line in stack.log):
            await asyncio.sleep(0.05)


async def test_what_changes_nothing_is_not_noted(administration, noted, account):
    request_id = str(uuid.uuid4())
    granted = await administration.grant(account, "reports", request_id=request_id)
    await administration.revoke(granted.grant.grant_id)
    before = await noted()

    await administration.grant(account, "reports", request_id=request_id)
    await administration.revoke(granted.grant.grant_id)
    with pytest.raises(paidup.Conflict):
        await administration.grant(account, "other", request_id=request_id)
    with pytest.raises(paidup.InvalidRequest):
        await administration.grant(account, "")
    with pytest.raises(paidup.NotFound):
        await administration.refresh_account(account)

    assert (len(before), await noted()) == (2, before)


async def test_a_purchase_is_noted_once_and_reads_are_not(shop, administration, noted, account):
    session = await shop.checkout()
    again = await shop.checkout()
    await shop.pay(session.session_id)
    await shop.status(session.session_id)
    await shop.check()
    await administration.explain(account, feature="api_access")

    assert again.reused
    assert await noted() == [
        ("CreateCheckoutSession", {"customer_id": session.customer_id}),
        (
            "CreateCheckoutSession",
            {"customer_id": session.customer_id, "session_id": session.session_id},
        ),
    ]


async def test_a_session_that_is_expired_for_another_is_noted(shop, noted):
    first = await shop.checkout()
    second = await shop.checkout("premium_monthly")

    assert (await noted())[2:] == [
        ("CreateCheckoutSession", {"expired_session_id": first.session_id}),
        (
            "CreateCheckoutSession",
            {"customer_id": second.customer_id, "session_id": second.session_id},
        ),
    ]


async def test_a_visit_to_the_portal_is_noted(shop, client, noted, account):
    session = await shop.checkout()
    visit = await client.create_portal_session(account_id=account)

    assert (await noted(method="CreatePortalSession")) == [
        (
            "CreatePortalSession",
            {"portal_session_id": visit.session_id, "customer_id": session.customer_id},
        )
    ]


async def test_what_operators_do_is_noted(shop, administration, settled, noted, account):
    await shop.subscribe()
    await settled()
    event = (await administration.list_events(account_id=account)).events[0]
    before = await noted()

    replayed = await administration.replay_event(event.event_id)
    await administration.refresh_account(account)
    erased = await administration.erase_account(account)
    await administration.replay_event(event.event_id)

    outcome = {2: "applied", 3: "skipped"}[replayed.state]
    assert (await noted())[len(before) :] == [
        ("ReplayEvent", {"event_id": event.event_id, "outcome": outcome}),
        ("RefreshAccount", {"customer_id": event.customer_id, "drifted": "false"}),
        ("EraseAccount", {"erased_events": str(erased)}),
        ("ReplayEvent", {"event_id": event.event_id, "outcome": "read_instead"}),
    ]


async def test_a_link_is_noted_once(administration, at_stripe, noted, account):
    customer = await at_stripe.v1.customers.create_async()

    await administration.link_customer(account, customer.id)
    await administration.link_customer(account, customer.id)

    assert await noted() == [("LinkCustomer", {"customer_id": customer.id})]


async def test_entries_are_listed_page_by_page_newest_first(administration, account):
    for number in range(5):
        await administration.grant(account, f"feature-{number}")
    whole = (await administration.list_audit_entries(account_id=account)).entries

    paged, token = [], ""
    while len(paged) < len(whole):
        page = await administration.list_audit_entries(
            account_id=account, page_size=2, page_token=token
        )
        paged += page.entries
        token = page.next_page_token

    times = [each.create_time.ToNanoseconds() for each in whole]
    assert len(whole) == 5
    assert times == sorted(times, reverse=True)
    assert (paged, token) == (list(whole), "")


async def test_entries_of_everybody_are_listed_without_a_filter(administration, account):
    await administration.grant(account, "reports")

    newest = (await administration.list_audit_entries(page_size=1)).entries[0]
    by_caller = await administration.list_audit_entries(caller=ANYBODY, page_size=1)
    by_method = await administration.list_audit_entries(method="CreateGrant", page_size=1)
    of_nobody = await administration.list_audit_entries(caller="nobody")

    assert newest.account_id == account
    assert [newest] == list(by_caller.entries) == list(by_method.entries)
    assert list(of_nobody.entries) == []


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"account_id": "somebody else"},
        {"caller": ANYBODY},
        {"method": "CreateGrant"},
        {"account_id": "…", "method": "CreateGrant"},
    ],
)
async def test_a_page_token_of_another_list_is_refused(administration, account, other):
    for number in range(2):
        await administration.grant(account, f"feature-{number}")
    page = await administration.list_audit_entries(account_id=account, page_size=1)
    wanted = {**other, "account_id": account} if other.get("account_id") == "…" else other

    with pytest.raises(paidup.InvalidRequest) as refused:
        await administration.list_audit_entries(page_token=page.next_page_token, **wanted)

    assert refused.value.reason == reasons.ERROR_REASON_INVALID_TOKEN


@pytest.mark.parametrize("key", [[], ["yesterday", "audit_1"], ["2026-11-02T12:00:00", "audit_1"]])
async def test_a_page_token_that_somebody_made_up_is_refused(administration, key):
    token = page_tokens.encode(key, of=("audit", "", "", ""))

    with pytest.raises(paidup.InvalidRequest) as refused:
        await administration.list_audit_entries(page_token=token)

    assert refused.value.reason == reasons.ERROR_REASON_INVALID_TOKEN


async def test_what_breaks_a_rule_of_the_list_is_named(administration):
    with pytest.raises(paidup.InvalidRequest) as refused:
        await administration.list_audit_entries(
            account_id="a" * 201, caller="c" * 2049, method="Create Grant", page_size=-1
        )

    fields = [each.field for each in refused.value.field_violations]
    assert fields == ["account_id", "caller", "method", "page_size"]


async def test_the_client_goes_through_all_of_them(stack, administration, account):
    for number in range(3):
        await administration.grant(account, f"feature-{number}")

    async with paidup.AdminClient(stack.service.address) as admin:
        gone_through = [
            each async for each in admin.iter_audit_entries(account_id=account, page_size=2)
        ]

    listed = await administration.list_audit_entries(account_id=account)
    assert gone_through == list(listed.entries)
