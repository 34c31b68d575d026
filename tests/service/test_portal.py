import pytest
from grpc import StatusCode

import paidup
from paidup import PortalFlow
from paidup.v1 import error_reason_pb2 as reasons

pytestmark = pytest.mark.asyncio(loop_scope="session")

FAILING_CARD = "4000000000000341"
A_RENEWAL = 32


async def test_a_portal_session_gives_where_to_send_the_customer(shop, client, account):
    await shop.subscribe()

    session = await client.create_portal_session(account_id=account, locale="fr")

    assert session.session_id.startswith("bps_")
    assert session.url.startswith("http")


@pytest.mark.parametrize(
    "flow",
    [
        PortalFlow.PORTAL_FLOW_PAYMENT_METHOD_UPDATE,
        PortalFlow.PORTAL_FLOW_SUBSCRIPTION_CANCEL,
        PortalFlow.PORTAL_FLOW_SUBSCRIPTION_UPDATE,
    ],
)
async def test_every_flow_opens_for_the_only_live_subscription(shop, client, account, flow):
    await shop.subscribe()

    session = await client.create_portal_session(
        account_id=account, flow=flow, return_url="http://localhost:4242/account"
    )

    assert session.url


async def test_an_account_without_a_customer_has_no_portal(client):
    with pytest.raises(paidup.NotFound) as refused:
        await client.create_portal_session(account_id="nobody")

    assert refused.value.code is StatusCode.NOT_FOUND
    assert refused.value.reason == reasons.ERROR_REASON_CUSTOMER_NOT_FOUND
    assert refused.value.metadata == {"account_id": "nobody"}


async def test_a_flow_about_one_of_several_subscriptions_wants_it_named(shop, client, account):
    await shop.subscribe("basic_monthly")
    second = await shop.subscribe("premium_monthly")
    flow = PortalFlow.PORTAL_FLOW_SUBSCRIPTION_CANCEL

    with pytest.raises(paidup.SubscriptionAmbiguous) as refused:
        await client.create_portal_session(account_id=account, flow=flow)
    named = await client.create_portal_session(
        account_id=account, flow=flow, subscription_id=second
    )

    assert refused.value.code is StatusCode.FAILED_PRECONDITION
    assert refused.value.metadata == {"account_id": account}
    assert named.url


async def test_a_flow_about_a_subscription_wants_a_live_one_of_the_account(shop, client, account):
    await shop.checkout()
    flow = PortalFlow.PORTAL_FLOW_SUBSCRIPTION_CANCEL

    with pytest.raises(paidup.InvalidRequest) as without:
        await client.create_portal_session(account_id=account, flow=flow)
    with pytest.raises(paidup.InvalidRequest) as foreign:
        await client.create_portal_session(
            account_id=account, flow=flow, subscription_id="sub_of_somebody_else"
        )

    assert [each.field for each in without.value.field_violations] == ["flow"]
    assert [each.field for each in foreign.value.field_violations] == ["subscription_id"]


async def test_access_follows_what_the_customer_does_in_the_portal(shop):
    await shop.subscribe()

    await shop.portal("cancel")
    ending = await shop.until("ACTIVE")
    while not ending.HasField("valid_until_time"):
        ending = await shop.until("ACTIVE")
    await shop.portal("renew")
    renewed = await shop.until("ACTIVE")
    while renewed.HasField("valid_until_time"):
        renewed = await shop.until("ACTIVE")
    await shop.portal("cancel", immediately=True)

    assert (await shop.until("CANCELED")).entitled is False


async def test_a_failed_renewal_is_forgiven_for_the_days_of_grace(shop):
    await shop.subscribe()
    await shop.portal("payment_method", number=FAILING_CARD)

    await shop.stack.emulator.advance(days=A_RENEWAL)

    grace = await shop.until("GRACE_PERIOD")
    assert grace.entitled
    assert grace.HasField("valid_until_time")
