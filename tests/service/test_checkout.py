import asyncio
import uuid

import pytest
from grpc import StatusCode

import paidup
from paidup import CustomText, LineItem, UiMode
from paidup.v1 import error_reason_pb2 as reasons
from tests.service.shop import RETURN_URL

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_embedded_session_gives_what_stripe_js_needs(shop):
    session = await shop.checkout()

    assert session.session_id.startswith("cs_test_")
    assert session.client_secret
    assert not session.url
    assert session.publishable_key.startswith("pk_test_")
    assert session.customer_id.startswith("cus_")
    assert session.expire_time.seconds > 0
    assert not session.reused


async def test_a_hosted_session_gives_where_to_send_the_customer(shop):
    session = await shop.checkout(
        ui_mode=UiMode.UI_MODE_HOSTED_PAGE,
        success_url="http://localhost:4242/thanks",
        cancel_url="http://localhost:4242/pricing",
    )

    assert session.url
    assert not session.client_secret


async def test_all_that_was_asked_for_reaches_stripe(shop, at_stripe, account):
    asked = await shop.checkout(
        "premium_monthly",
        "setup_fee",
        customer_email="grace@example.com",
        trial_period_days=14,
        allow_promotion_codes=True,
        locale="fr",
        custom_text=CustomText(submit="Cancel at any time."),
        metadata={"campaign": "spring"},
    )

    session = await at_stripe.v1.checkout.sessions.retrieve_async(
        asked.session_id, {"expand": ["line_items", "customer"]}
    )
    assert session.mode == "subscription"
    assert session.ui_mode == "embedded_page"
    assert session.client_reference_id == account
    assert session.metadata.to_dict() == {"campaign": "spring", "account_id": account}
    assert session.customer.email == "grace@example.com"
    assert session.allow_promotion_codes
    assert session.locale == "fr"
    assert session.custom_text.submit.message == "Cancel at any time."
    assert [line.price.lookup_key for line in session.line_items.data] == [
        "premium_monthly",
        "setup_fee",
    ]


async def test_a_subscription_carries_the_account_and_the_metadata(shop, at_stripe, account):
    subscription_id = await shop.subscribe(metadata={"campaign": "spring"}, trial_period_days=7)

    subscription = await at_stripe.v1.subscriptions.retrieve_async(subscription_id)

    assert subscription.metadata.to_dict() == {"campaign": "spring", "account_id": account}
    assert subscription.status == "trialing"
    assert await shop.reason() == "TRIALING"


async def test_a_price_is_found_by_its_id_too(shop, at_stripe):
    listed = await at_stripe.v1.prices.list_async({"lookup_keys": ["basic_yearly"]})

    session = await shop.checkout(listed.data[0].id)

    assert session.session_id


async def test_quantities_reach_the_entitlement(shop):
    session = await shop.client.create_checkout_session(
        account_id=shop.account,
        line_items=[LineItem(price="basic_monthly", quantity=7)],
        return_url=RETURN_URL,
    )
    await shop.pay(session.session_id)

    entitlement = await shop.until("ACTIVE")

    assert entitlement.quantity == 7


async def test_two_checkouts_at_once_of_a_new_account_are_one_customer_and_one_session(
    shop, at_stripe, account
):
    sessions = await asyncio.gather(*(shop.checkout() for _ in range(4)))

    assert len({session.session_id for session in sessions}) == 1
    assert len({session.customer_id for session in sessions}) == 1
    customers = await at_stripe.v1.customers.list_async({"limit": 100})
    ours = [
        each
        async for each in customers.auto_paging_iter()
        if each.metadata.to_dict().get("account_id") == account
    ]
    assert len(ours) == 1


async def test_the_open_session_of_the_same_form_is_given_again(shop):
    first = await shop.checkout()
    second = await shop.checkout()

    assert second.session_id == first.session_id
    assert second.client_secret == first.client_secret
    assert second.reused


async def test_an_open_session_of_another_form_is_expired_first(shop):
    basic = await shop.checkout("basic_monthly")
    premium = await shop.checkout("premium_monthly")

    assert premium.session_id != basic.session_id
    status = await shop.status(basic.session_id)
    assert status.status == paidup.SessionStatus.SESSION_STATUS_EXPIRED


async def test_a_repeated_request_id_gives_the_first_answer_again(shop):
    request_id = str(uuid.uuid4())
    first = await shop.checkout(request_id=request_id)
    again = await shop.checkout(request_id=request_id)

    assert again == first


async def test_a_request_id_with_other_items_is_refused(shop):
    request_id = str(uuid.uuid4())
    await shop.checkout("basic_monthly", request_id=request_id)

    with pytest.raises(paidup.Conflict) as refused:
        await shop.checkout("premium_monthly", request_id=request_id)

    assert refused.value.code is StatusCode.ALREADY_EXISTS
    assert refused.value.reason == reasons.ERROR_REASON_REQUEST_ID_REUSED


async def test_a_request_that_failed_may_come_again_put_right_under_its_id(shop):
    request_id = str(uuid.uuid4())
    with pytest.raises(paidup.NotFound):
        await shop.checkout("no_such_price", request_id=request_id)

    session = await shop.checkout("basic_monthly", request_id=request_id)

    assert session.session_id


async def test_a_product_that_is_held_is_not_sold_again(shop):
    subscription_id = await shop.subscribe("basic_monthly")

    with pytest.raises(paidup.AlreadySubscribed) as refused:
        await shop.checkout("basic_yearly")

    assert refused.value.code is StatusCode.FAILED_PRECONDITION
    assert refused.value.reason == reasons.ERROR_REASON_ALREADY_SUBSCRIBED
    assert refused.value.metadata == {
        "subscription_id": subscription_id,
        "product_id": "prod_basic",
    }


async def test_a_product_that_is_held_is_not_sold_again_with_webhooks_away(shop, faults):
    await faults({"webhooks": {"blocked": True}})
    session = await shop.checkout("basic_monthly")
    await shop.pay(session.session_id)

    with pytest.raises(paidup.AlreadySubscribed):
        await shop.checkout("basic_monthly")


async def test_another_product_is_sold_beside_the_one_that_is_held(shop):
    await shop.subscribe("basic_monthly")

    await shop.subscribe("premium_monthly")

    assert (await shop.until("ACTIVE", "reports")).entitled


async def test_a_second_subscription_is_sold_where_the_caller_says_so(shop):
    await shop.subscribe("basic_monthly")

    await shop.subscribe("basic_monthly", allow_additional_subscription=True)

    assert (await shop.check()).quantity == 2


async def test_an_account_whose_customer_was_deleted_gets_a_new_one(shop, at_stripe):
    first = await shop.checkout()
    await at_stripe.v1.customers.delete_async(first.customer_id)

    second = await shop.checkout("premium_monthly")

    assert second.customer_id != first.customer_id
    assert second.session_id != first.session_id


async def test_a_price_that_stripe_does_not_know_is_named(shop, at_stripe, account):
    with pytest.raises(paidup.NotFound) as refused:
        await shop.checkout("basic_monthly", "no_such_price")

    assert refused.value.code is StatusCode.NOT_FOUND
    assert refused.value.reason == reasons.ERROR_REASON_PRICE_NOT_FOUND
    assert refused.value.metadata == {"price": "no_such_price"}


async def test_a_one_time_price_alone_is_no_subscription(shop):
    with pytest.raises(paidup.InvalidRequest) as refused:
        await shop.checkout("setup_fee")

    assert [violation.field for violation in refused.value.field_violations] == ["line_items"]
