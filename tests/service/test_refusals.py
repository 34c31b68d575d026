"""Bad input over a real channel: every field that breaks its rule is named."""

import pytest
from grpc import StatusCode

import paidup
from paidup import LineItem, UiMode
from paidup.v1 import error_reason_pb2 as reasons
from tests.service.shop import RETURN_URL

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_every_broken_field_is_named_at_once(client):
    with pytest.raises(paidup.InvalidRequest) as refused:
        await client.create_checkout_session(
            account_id="",
            line_items=[LineItem(price="", quantity=-1)],
            return_url="http://localhost:4242/return",
            success_url="http://localhost:4242/thanks",
            customer_email="nobody",
            trial_period_days=-1,
            locale="tlhIngan",
            metadata={"account_id": "mine"},
            request_id="not-a-uuid",
        )

    assert refused.value.code is StatusCode.INVALID_ARGUMENT
    assert refused.value.reason == reasons.ERROR_REASON_INVALID_REQUEST
    assert {each.field for each in refused.value.field_violations} == {
        "account_id",
        "line_items[0].price",
        "line_items[0].quantity",
        "return_url",
        "success_url",
        "customer_email",
        "trial_period_days",
        "locale",
        "metadata[account_id]",
        "request_id",
    }


async def test_what_a_caller_sent_is_not_told_back(client):
    with pytest.raises(paidup.InvalidRequest) as refused:
        await client.create_checkout_session(
            account_id="a", line_items=[], customer_email="ada@nowhere@", return_url=RETURN_URL
        )

    assert "ada" not in f"{refused.value} {refused.value.field_violations}"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example.net/return?session_id={CHECKOUT_SESSION_ID}",
        "http://localhost.evil.example.net/{CHECKOUT_SESSION_ID}",
        "http://localhost@evil.example.net/{CHECKOUT_SESSION_ID}",
        "javascript:alert('{CHECKOUT_SESSION_ID}')",
    ],
)
async def test_a_url_of_another_origin_is_refused(client, url):
    with pytest.raises(paidup.InvalidRequest) as refused:
        await client.create_checkout_session(
            account_id="a", line_items=[LineItem(price="basic_monthly")], return_url=url
        )

    assert refused.value.reason == reasons.ERROR_REASON_URL_NOT_ALLOWED
    assert [each.field for each in refused.value.field_violations] == ["return_url"]


async def test_a_hosted_page_wants_where_to_go_afterwards(client):
    with pytest.raises(paidup.InvalidRequest) as refused:
        await client.create_checkout_session(
            account_id="a",
            line_items=[LineItem(price="basic_monthly")],
            ui_mode=UiMode.UI_MODE_HOSTED_PAGE,
        )

    assert [each.field for each in refused.value.field_violations] == ["success_url"]


async def test_the_portals_way_back_must_be_allowed_too(client):
    with pytest.raises(paidup.InvalidRequest) as refused:
        await client.create_portal_session(account_id="a", return_url="https://evil.example.net/")

    assert refused.value.reason == reasons.ERROR_REASON_URL_NOT_ALLOWED


async def test_a_check_wants_an_account(client):
    with pytest.raises(paidup.InvalidRequest) as refused:
        await client.check_entitlement(account_id="", feature="api_access")

    assert [each.field for each in refused.value.field_violations] == ["account_id"]


async def test_a_status_wants_session_and_account(client):
    with pytest.raises(paidup.InvalidRequest) as refused:
        await client.get_session_status(account_id="", session_id="")

    fields = [each.field for each in refused.value.field_violations]
    assert fields == ["account_id", "session_id"]


async def test_a_negative_page_size_is_refused(client):
    with pytest.raises(paidup.InvalidRequest) as refused:
        await client.list_subscriptions(account_id="a", page_size=-1)

    assert [each.field for each in refused.value.field_violations] == ["page_size"]
