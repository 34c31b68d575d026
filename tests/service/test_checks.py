import grpc
import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import paidup
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1 import (
    billing_service_pb2_grpc,
)
from paidup.v1 import error_reason_pb2 as reasons
from subscription_state.revision import Revision
from tests.service.shop import reason_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_account_that_was_never_heard_of_is_not_entitled(client):
    response = await client.check_entitlement(account_id="never-heard-of", feature="api_access")

    assert not response.entitlement.entitled
    assert reason_of(response.entitlement) == "NO_SUBSCRIPTION"
    assert response.revision


async def test_a_subject_that_nobody_knows_is_named_so(client):
    feature = await client.check_entitlement(account_id="a", feature="no_such_feature")
    product = await client.check_entitlement(account_id="a", product_id="prod_none")

    assert reason_of(feature.entitlement) == reason_of(product.entitlement) == "UNKNOWN_SUBJECT"


async def test_a_batch_is_answered_in_its_order_as_of_one_revision(shop, channel, account):
    await shop.subscribe("basic_monthly")
    stub = billing_service_pb2_grpc.BillingServiceStub(channel)
    a_check = pb.BatchCheckEntitlementsRequest.Check
    checks = [
        a_check(account_id=account, feature="api_access"),
        a_check(account_id="never-heard-of", feature="api_access"),
        a_check(account_id=account, feature="reports"),
        a_check(account_id=account, product_id="prod_basic"),
    ]

    answer = await stub.BatchCheckEntitlements(
        pb.BatchCheckEntitlementsRequest(checks=checks), timeout=5
    )
    alone = await stub.CheckEntitlement(
        pb.CheckEntitlementRequest(account_id=account, feature="api_access"), timeout=5
    )

    assert [reason_of(each) for each in answer.entitlements] == [
        "ACTIVE", "NO_SUBSCRIPTION", "NOT_IN_PLAN", "ACTIVE",
    ]  # fmt: skip
    assert [each.account_id for each in answer.entitlements] == [each.account_id for each in checks]
    assert answer.entitlements[0] == alone.entitlement
    assert Revision.parse(answer.revision).number <= Revision.parse(alone.revision).number


async def test_what_an_account_may_use_is_listed(shop, channel, account):
    stub = billing_service_pb2_grpc.BillingServiceStub(channel)
    request = pb.ListEntitlementsRequest(account_id=account)
    before = await stub.ListEntitlements(request, timeout=5)
    await shop.subscribe("premium_monthly")
    request.consistency.fully_consistent = True

    after = await stub.ListEntitlements(request, timeout=5)

    assert before.entitlements == []
    assert before.revision
    assert {each.feature or each.product_id for each in after.entitlements} == {
        "api_access", "reports", "priority_support", "prod_premium",
    }  # fmt: skip
    assert all(each.entitled for each in after.entitlements)


async def test_a_plan_gives_its_features_and_its_product_and_no_others(shop, client, account):
    subscription_id = await shop.subscribe("basic_monthly")

    given = await shop.check("api_access")
    product = await client.check_entitlement(account_id=account, product_id="prod_basic")

    assert (given.entitled, given.subscription_id) == (True, subscription_id)
    assert given.subscription_status == paidup.SubscriptionStatus.SUBSCRIPTION_STATUS_ACTIVE
    assert given.quantity == 1
    assert product.entitlement.entitled
    assert product.entitlement.product_id == "prod_basic"
    assert await shop.reason("reports") == "NOT_IN_PLAN"


async def test_a_fully_consistent_check_is_answered(shop):
    await shop.subscribe()

    assert (await shop.check(fully_consistent=True)).entitled


@pytest.mark.parametrize("token", ["nonsense", "AQ", "é", "x" * 5000])
async def test_what_is_no_revision_is_refused(client, token):
    with pytest.raises(paidup.InvalidRequest) as refused:
        await client.check_entitlement(account_id="a", feature="f", at_least_revision=token)

    assert refused.value.code is StatusCode.INVALID_ARGUMENT
    assert refused.value.reason == reasons.ERROR_REASON_INVALID_TOKEN


async def test_a_revision_of_another_database_is_refused(client):
    foreign = str(Revision(epoch="00" * 8, number=1))

    with pytest.raises(paidup.InvalidRequest) as refused:
        await client.check_entitlement(account_id="a", feature="f", at_least_revision=foreign)

    assert refused.value.reason == reasons.ERROR_REASON_INVALID_TOKEN


async def test_a_revision_that_is_not_reached_in_time_asks_to_try_again(channel, client):
    now = await client.check_entitlement(account_id="a", feature="api_access")
    epoch = Revision.parse(now.revision).epoch
    future = str(Revision(epoch=epoch, number=10**12))
    stub = billing_service_pb2_grpc.BillingServiceStub(channel)
    request = pb.CheckEntitlementRequest(account_id="a", feature="api_access")
    request.consistency.at_least_revision = future

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.CheckEntitlement(request, timeout=5)

    assert refused.value.code() is StatusCode.UNAVAILABLE
    details = dict(refused.value.trailing_metadata())["grpc-status-details-bin"]
    assert b"ERROR_REASON_REVISION_NOT_REACHED" in details
    assert b"RetryInfo" in details


async def test_subscriptions_are_listed_newest_first_page_by_page(shop, client, account):
    bought = [
        await shop.subscribe("basic_monthly", allow_additional_subscription=True) for _ in range(3)
    ]

    first = await client.list_subscriptions(account_id=account, page_size=2)
    rest = await client.list_subscriptions(
        account_id=account, page_size=2, page_token=first.next_page_token
    )
    everything = [each async for each in client.iter_subscriptions(account_id=account)]

    assert len(first.subscriptions) == 2
    assert len(rest.subscriptions) == 1
    assert not rest.next_page_token
    listed = [each.subscription_id for each in (*first.subscriptions, *rest.subscriptions)]
    assert sorted(listed) == sorted(bought)
    assert [each.subscription_id for each in everything] == listed
    item = everything[0].items[0]
    assert (item.product_id, item.quantity) == ("prod_basic", 1)
    assert item.HasField("current_period_end_time")
    assert everything[0].HasField("verify_time")


async def test_a_page_token_of_another_account_is_refused(shop, client, account):
    for _ in range(2):
        await shop.subscribe(allow_additional_subscription=True)
    page = await client.list_subscriptions(account_id=account, page_size=1)

    with pytest.raises(paidup.InvalidRequest) as refused:
        await client.list_subscriptions(account_id="other", page_token=page.next_page_token)

    assert refused.value.reason == reasons.ERROR_REASON_INVALID_TOKEN


async def test_a_purchase_and_its_end_reach_who_watches(shop, channel, account):
    stub = billing_service_pb2_grpc.BillingServiceStub(channel)
    call = stub.WatchEntitlements(pb.WatchEntitlementsRequest(account_ids=[account]), timeout=30)
    begun = await call.read()
    await shop.subscribe("basic_monthly")
    bought = await _told(call, {"api_access", "prod_basic"})
    await shop.portal("cancel", immediately=True)
    ended = await _told(call, set())
    call.cancel()

    assert list(begun.account.entitlements) == []
    assert all(each.entitled for each in bought.account.entitlements)
    assert Revision.parse(ended.revision) > Revision.parse(bought.revision)


async def _told(call, subjects: set[str]) -> pb.WatchEntitlementsResponse:
    """Read until the account may use exactly these."""
    while True:
        message = await call.read()
        said = {each.feature or each.product_id for each in message.account.entitlements}
        if message.WhichOneof("kind") == "account" and said == subjects:
            return message


async def test_health_says_that_it_serves(channel):
    stub = health_pb2_grpc.HealthStub(channel)

    for service in ("", "paidup.v1.BillingService", "paidup.v1.AdminService"):
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_reflection_names_the_services(channel):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")

    call = stub.ServerReflectionInfo(iter([asked]), timeout=5)
    answer = await call.read()
    call.cancel()

    names = {each.name for each in answer.list_services_response.service}
    assert {"paidup.v1.BillingService", "paidup.v1.AdminService", "grpc.health.v1.Health"} <= names
