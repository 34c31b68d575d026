import time

import pytest

from billing_service import validation
from billing_service.errors import InvalidRequest, UrlNotAllowed
from billing_service.urls import AllowedOrigins
from paidup.v1 import billing_service_pb2 as pb

ORIGINS = AllowedOrigins(["https://app.example.com"], livemode=True)
RETURN_URL = "https://app.example.com/return?session_id={CHECKOUT_SESSION_ID}"
THANKS = "https://app.example.com/thanks"
HOSTED = {"ui_mode": pb.UI_MODE_HOSTED_PAGE, "return_url": "", "success_url": THANKS}
REQUEST_ID = "0b7e9a52-6f6e-4f57-9c7e-0d2b8f8f2c1a"


def a_checkout(**fields) -> pb.CreateCheckoutSessionRequest:
    values = {
        "account_id": "acct_1",
        "line_items": [pb.LineItem(price="basic_monthly")],
        "return_url": RETURN_URL,
    }
    return pb.CreateCheckoutSessionRequest(**values | fields)


def _fields_refused(check, *arguments) -> list[str]:
    with pytest.raises(InvalidRequest) as refused:
        check(*arguments)
    return [violation.field for violation in refused.value.violations]


def _items(count: int = 1, **fields) -> list[pb.LineItem]:
    return [pb.LineItem(**{"price": "basic_monthly"} | fields) for _ in range(count)]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"account_id": "x"},
        {"account_id": "x" * 200},
        {"account_id": "Zoë / 東京 🚀 #1"},
        {"line_items": _items(40)},
        {"line_items": _items(quantity=999_999)},
        {"line_items": _items(price="p" * 200)},
        {"ui_mode": pb.UI_MODE_EMBEDDED_PAGE},
        HOSTED,
        HOSTED | {"cancel_url": "https://app.example.com/pricing"},
        {"customer_email": "jenny@example.com"},
        {"customer_email": f"{'j' * 500}@example.com"},
        {"trial_period_days": 730},
        {"locale": "fr"},
        {"locale": "pt-BR"},
        {"locale": "es-419"},
        {"locale": "fil"},
        {"locale": "auto"},
        {"custom_text": pb.CustomText(submit="x" * 1200, after_submit="a\nb")},
        {"metadata": {f"key{number}": "x" * 500 for number in range(49)}},
        {"metadata": {"k" * 40: ""}},
        {"request_id": REQUEST_ID},
        {"request_id": REQUEST_ID.upper()},
        {"allow_promotion_codes": True, "allow_additional_subscription": True},
    ],
)
def test_a_request_within_its_limits_is_taken(fields):
    assert validation.checkout_request(a_checkout(**fields), ORIGINS) is None


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"account_id": ""}, "account_id"),
        ({"account_id": "x" * 201}, "account_id"),
        ({"account_id": "a\nb"}, "account_id"),
        ({"account_id": "a\x00b"}, "account_id"),
        ({"account_id": "a\x7fb"}, "account_id"),
        ({"account_id": "a\x85b"}, "account_id"),
        ({"account_id": "a\u200bb"}, "account_id"),
        ({"account_id": "a\u2028b"}, "account_id"),
        ({"account_id": "a\ue000b"}, "account_id"),
        ({"line_items": []}, "line_items"),
        ({"line_items": _items(41)}, "line_items"),
        ({"line_items": _items(price="")}, "line_items[0].price"),
        ({"line_items": _items(price="p" * 201)}, "line_items[0].price"),
        ({"line_items": _items(price="a\tb")}, "line_items[0].price"),
        ({"line_items": _items(quantity=-1)}, "line_items[0].quantity"),
        ({"line_items": _items(quantity=1_000_000)}, "line_items[0].quantity"),
        ({"line_items": [*_items(), *_items(price="")]}, "line_items[1].price"),
        ({"ui_mode": 99}, "ui_mode"),
        ({"return_url": ""}, "return_url"),
        ({"return_url": "https://app.example.com/return"}, "return_url"),
        ({"return_url": RETURN_URL + "x" * 2000}, "return_url"),
        ({"success_url": THANKS}, "success_url"),
        ({"cancel_url": THANKS}, "cancel_url"),
        (HOSTED | {"success_url": ""}, "success_url"),
        (HOSTED | {"return_url": RETURN_URL}, "return_url"),
        ({"customer_email": "jenny"}, "customer_email"),
        ({"customer_email": "jenny@example"}, "customer_email"),
        ({"customer_email": "jenny@@example.com"}, "customer_email"),
        ({"customer_email": "jenny @example.com"}, "customer_email"),
        ({"customer_email": f"{'j' * 501}@example.com"}, "customer_email"),
        ({"trial_period_days": -1}, "trial_period_days"),
        ({"trial_period_days": 731}, "trial_period_days"),
        ({"locale": "french"}, "locale"),
        ({"locale": "FR"}, "locale"),
        ({"locale": "fr_FR"}, "locale"),
        ({"locale": "fr-"}, "locale"),
        ({"custom_text": pb.CustomText(submit="x" * 1201)}, "custom_text.submit"),
        ({"custom_text": pb.CustomText(after_submit="x" * 1201)}, "custom_text.after_submit"),
        (
            {"custom_text": pb.CustomText(terms_of_service_acceptance="x" * 1201)},
            "custom_text.terms_of_service_acceptance",
        ),
        ({"metadata": {f"key{number}": "" for number in range(50)}}, "metadata"),
        ({"metadata": {"": "x"}}, "metadata[]"),
        ({"metadata": {"k" * 41: "x"}}, f"metadata[{'k' * 40}]"),
        ({"metadata": {"k": "x" * 501}}, "metadata[k]"),
        ({"metadata": {"account_id": "another"}}, "metadata[account_id]"),
        ({"metadata": {"a][account_id": "another"}}, "metadata[a][account_id]"),
        ({"metadata": {"account_id]": "another"}}, "metadata[account_id]]"),
        ({"metadata": {"a\nb": "x"}}, "metadata[a\nb]"),
        ({"request_id": "not-a-uuid"}, "request_id"),
        ({"request_id": REQUEST_ID + "0"}, "request_id"),
        ({"request_id": REQUEST_ID.replace("-", "")}, "request_id"),
    ],
)
def test_a_field_that_breaks_its_rule_is_named_alone(fields, field):
    request = a_checkout(**fields)

    assert _fields_refused(validation.checkout_request, request, ORIGINS) == [field]


def test_every_field_that_breaks_its_rule_is_named_at_once():
    request = a_checkout(account_id="", locale="french", request_id="x", trial_period_days=-1)

    fields = _fields_refused(validation.checkout_request, request, ORIGINS)

    assert fields == ["account_id", "locale", "trial_period_days", "request_id"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"return_url": "https://evil.example/{CHECKOUT_SESSION_ID}"}, "return_url"),
        (HOSTED | {"success_url": "https://evil.example"}, "success_url"),
        (HOSTED | {"cancel_url": "javascript:alert(1)"}, "cancel_url"),
    ],
)
def test_a_url_of_another_origin_is_named(fields, field):
    with pytest.raises(UrlNotAllowed) as refused:
        validation.checkout_request(a_checkout(**fields), ORIGINS)

    assert [violation.field for violation in refused.value.violations] == [field]


@pytest.mark.parametrize("field", ["customer_email", "locale", "request_id", "account_id"])
def test_what_is_far_too_long_is_refused_at_once(field):
    request = a_checkout(**{field: "a@" + "." * 200_000 + " "})
    began = time.process_time()

    assert _fields_refused(validation.checkout_request, request, ORIGINS) == [field]
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (pb.GetSessionStatusRequest(account_id="a", session_id="cs_1"), []),
        (pb.GetSessionStatusRequest(session_id="cs_1"), ["account_id"]),
        (pb.GetSessionStatusRequest(account_id="a"), ["session_id"]),
        (pb.GetSessionStatusRequest(account_id="a", session_id="c" * 256), ["session_id"]),
        (pb.GetSessionStatusRequest(account_id="a", session_id="c\n"), ["session_id"]),
    ],
)
def test_the_rules_of_get_session_status(request_, fields):
    if fields:
        assert _fields_refused(validation.session_status_request, request_) == fields
    else:
        assert validation.session_status_request(request_) is None


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({}, []),
        ({"flow": pb.PORTAL_FLOW_SUBSCRIPTION_CANCEL, "locale": "de"}, []),
        ({"return_url": "https://app.example.com/account"}, []),
        ({"account_id": ""}, ["account_id"]),
        ({"flow": 99}, ["flow"]),
        ({"locale": "german"}, ["locale"]),
        ({"subscription_id": "s" * 256}, ["subscription_id"]),
        ({"return_url": "https://app.example.com/" + "a" * 2000}, ["return_url"]),
    ],
)
def test_the_rules_of_create_portal_session(given, fields):
    request = pb.CreatePortalSessionRequest(**{"account_id": "a"} | given)

    if fields:
        assert _fields_refused(validation.portal_request, request, ORIGINS) == fields
    else:
        assert validation.portal_request(request, ORIGINS) is None


def test_a_portals_way_back_leads_to_an_allowed_origin():
    request = pb.CreatePortalSessionRequest(account_id="a", return_url="https://evil.example")

    with pytest.raises(UrlNotAllowed):
        validation.portal_request(request, ORIGINS)


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({"feature": "reports"}, []),
        ({"product_id": "prod_1"}, []),
        ({"feature": "f", "consistency": {"fully_consistent": True}}, []),
        ({"feature": "f", "consistency": {"at_least_revision": "x"}}, []),
        ({}, ["subject"]),
        ({"feature": ""}, ["feature"]),
        ({"product_id": ""}, ["product_id"]),
        ({"feature": "f" * 256}, ["feature"]),
        ({"feature": "f", "account_id": ""}, ["account_id"]),
        ({"feature": "f", "consistency": {}}, ["consistency.requirement"]),
    ],
)
def test_the_rules_of_check_entitlement(given, fields):
    request = pb.CheckEntitlementRequest(**{"account_id": "a"} | given)

    if fields:
        assert _fields_refused(validation.check_request, request) == fields
    else:
        assert validation.check_request(request) is None


def _checks(count: int = 1, **fields) -> list[pb.BatchCheckEntitlementsRequest.Check]:
    values = {"account_id": "a", "feature": "f"} | fields
    return [pb.BatchCheckEntitlementsRequest.Check(**values) for _ in range(count)]


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({"checks": _checks(1)}, []),
        ({"checks": _checks(1000)}, []),
        ({"checks": []}, ["checks"]),
        ({"checks": _checks(1001)}, ["checks"]),
        ({"checks": _checks() + _checks(account_id="")}, ["checks[1].account_id"]),
        ({"checks": [*_checks(), pb.BatchCheckEntitlementsRequest.Check(account_id="a")]},
         ["checks[1].subject"]),
        ({"checks": _checks(feature="f" * 256)}, ["checks[0].feature"]),
        ({"checks": _checks(), "consistency": {}}, ["consistency.requirement"]),
    ],
)  # fmt: skip
def test_the_rules_of_batch_check(given, fields):
    request = pb.BatchCheckEntitlementsRequest(**given)

    if fields:
        assert _fields_refused(validation.batch_check_request, request) == fields
    else:
        assert validation.batch_check_request(request) is None


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({}, []),
        ({"account_id": ""}, ["account_id"]),
        ({"consistency": {}}, ["consistency.requirement"]),
    ],
)
def test_the_rules_of_list_entitlements(given, fields):
    request = pb.ListEntitlementsRequest(**{"account_id": "a"} | given)

    if fields:
        assert _fields_refused(validation.list_entitlements_request, request) == fields
    else:
        assert validation.list_entitlements_request(request) is None


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({}, []),
        ({"page_size": 2**31 - 1}, []),
        ({"page_size": -1}, ["page_size"]),
        ({"account_id": "", "page_size": -1}, ["account_id", "page_size"]),
    ],
)
def test_the_rules_of_list_subscriptions(given, fields):
    request = pb.ListSubscriptionsRequest(**{"account_id": "a"} | given)

    if fields:
        assert _fields_refused(validation.account_page_request, request) == fields
    else:
        assert validation.account_page_request(request) is None
