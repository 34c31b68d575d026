"""Features given by hand, and decisions explained, over a real channel."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

import paidup
from paidup.v1 import error_reason_pb2 as reasons
from tests.service.shop import reason_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_granted_feature_holds_until_it_is_revoked(shop, administration, account):
    granted = await administration.grant(account, "reports")
    holding = await shop.check("reports", at_least_revision=granted.revision)
    revoked = await administration.revoke(granted.grant.grant_id)
    ended = await shop.check("reports", at_least_revision=revoked.revision)

    assert (holding.entitled, reason_of(holding)) == (True, "GRANT")
    assert holding.grant_id == granted.grant.grant_id
    assert granted.grant.note == "a favour"
    assert granted.grant.creator
    assert revoked.grant.HasField("revoke_time")
    assert not ended.entitled


async def test_a_grant_ends_at_its_time(shop, administration, account):
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)

    granted = await administration.grant(account, "reports", expire_time=end)
    holding = await shop.check("reports", at_least_revision=granted.revision)

    assert granted.grant.expire_time.ToDatetime(UTC) == end
    assert holding.valid_until_time.ToDatetime(UTC) == end


async def test_to_revoke_again_changes_nothing(administration, account):
    granted = await administration.grant(account, "reports")

    first = await administration.revoke(granted.grant.grant_id)
    again = await administration.revoke(granted.grant.grant_id)

    assert again.grant == first.grant


async def test_a_request_id_makes_it_safe_to_repeat(administration, account):
    request_id = str(uuid.uuid4())
    first = await administration.grant(account, "reports", request_id=request_id)
    again = await administration.grant(account, "reports", request_id=request_id)

    with pytest.raises(paidup.Conflict) as refused:
        await administration.grant(account, "priority_support", request_id=request_id)

    assert again.grant == first.grant
    assert refused.value.reason == reasons.ERROR_REASON_REQUEST_ID_REUSED
    assert [each.feature for each in (await administration.list_grants(account)).grants] == [
        "reports"
    ]


async def test_grants_are_listed_page_by_page_newest_first(administration, account):
    made = [(await administration.grant(account, f"feature-{n}")).grant for n in range(3)]

    first = await administration.list_grants(account, page_size=2)
    second = await administration.list_grants(account, page_token=first.next_page_token)

    assert [*first.grants, *second.grants] == made[::-1]
    assert (len(first.grants), second.next_page_token) == (2, "")


async def test_a_page_token_of_another_list_is_refused(administration, account):
    for n in range(2):
        await administration.grant(account, f"feature-{n}")
    page = await administration.list_grants(account, page_size=1)

    with pytest.raises(paidup.InvalidRequest) as refused:
        await administration.list_grants("somebody else", page_token=page.next_page_token)

    assert refused.value.reason == reasons.ERROR_REASON_INVALID_TOKEN


async def test_what_was_never_granted_cannot_be_revoked(administration):
    with pytest.raises(paidup.NotFound) as refused:
        await administration.revoke("grant_none")

    assert refused.value.reason == reasons.ERROR_REASON_GRANT_NOT_FOUND
    assert refused.value.metadata == {"grant_id": "grant_none"}


@pytest.mark.parametrize(
    ("spoiled", "field"),
    [
        ({"note": ""}, "note"),
        ({"note": "x" * 1001}, "note"),
        ({"feature": ""}, "feature"),
        ({"request_id": "not a uuid"}, "request_id"),
        ({"expire_time": datetime(2020, 1, 1, tzinfo=UTC)}, "expire_time"),
        ({"account_id": ""}, "account_id"),
    ],
)
async def test_each_field_that_breaks_its_rule_is_named(administration, spoiled, field):
    fields = {"account_id": "acme", "feature": "reports", **spoiled}

    with pytest.raises(paidup.InvalidRequest) as refused:
        await administration.grant(**fields)

    assert [each.field for each in refused.value.field_violations] == [field]


async def test_an_explanation_tells_what_the_decision_rests_on(shop, administration, account):
    subscription_id = await shop.subscribe()
    await administration.grant(account, "reports")

    explained = await administration.explain(account, feature="api_access")

    assert explained.entitlement == await shop.check("api_access")
    assert explained.explanation[0] == (
        f"The account may use api_access: subscription {subscription_id} is active and includes it."
    )
    assert [each.subscription_id for each in explained.subscriptions] == [subscription_id]
    assert [each.feature for each in explained.grants] == ["reports"]


async def test_its_events_are_the_accounts_newest_first(shop, administration, account, settled):
    await shop.subscribe()
    await settled()

    explained = await administration.explain(account, product_id="prod_basic")

    listed = await administration.list_events(account_id=account, page_size=50)
    assert list(explained.events) == list(listed.events)
    assert "customer.subscription.created" in {each.type for each in explained.events}


async def test_nobody_is_explained_too(administration):
    explained = await administration.explain("nobody", feature="api_access")

    assert explained.explanation[0] == (
        "The account may not use api_access: it has no subscription."
    )


async def test_an_explanation_needs_a_subject(administration):
    with pytest.raises(paidup.InvalidRequest) as refused:
        await administration.explain("acme")

    assert [each.field for each in refused.value.field_violations] == ["subject"]
