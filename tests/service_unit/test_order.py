from dataclasses import fields, replace

import pytest

from billing_service.checkout_params import checkout_params
from billing_service.order import Line, Order, digest, order_from_proto
from billing_service.prices import Price
from paidup.v1 import billing_service_pb2 as pb

PRICE = Price(price_id="price_1", product_id="prod_1", recurring=True, metered=False)


def an_order(**fields) -> Order:
    values = {
        "account_id": "acct_1",
        "line_items": [pb.LineItem(price="basic_monthly")],
        "return_url": "https://app.example.com/{CHECKOUT_SESSION_ID}",
        "request_id": "0b7e9a52-6f6e-4f57-9c7e-0d2b8f8f2c1a",
    }
    return order_from_proto(pb.CreateCheckoutSessionRequest(**values | fields))


#: Another value of each thing that can be asked for.
OTHERS = {
    "account_id": "acct_2",
    "lines": (Line(price="basic_monthly", quantity=2),),
    "hosted": True,
    "return_url": "https://app.example.com/other",
    "success_url": "https://app.example.com/thanks",
    "cancel_url": "https://app.example.com/pricing",
    "customer_email": "jenny@example.com",
    "trial_period_days": 14,
    "allow_promotion_codes": True,
    "locale": "fr",
    "custom_text": {"submit": "Cancel at any time."},
    "metadata": {"campaign": "spring"},
    "allow_additional": True,
}


def test_every_field_has_another_value():
    assert {field.name for field in fields(Order)} == OTHERS.keys() | {"request_id"}


@pytest.mark.parametrize("field", OTHERS)
def test_a_repeated_request_that_asks_for_something_else_is_told_apart(field):
    other = replace(an_order(), **{field: OTHERS[field]})

    assert other.fingerprint != an_order().fingerprint


@pytest.mark.parametrize("field", OTHERS)
def test_a_session_is_the_same_form_unless_what_it_shows_differs(field):
    other = replace(an_order(), **{field: OTHERS[field]})

    same = other.form_fingerprint(["price_1"]) == an_order().form_fingerprint(["price_1"])

    assert same == (field in {"customer_email", "allow_additional"})


def test_the_request_id_is_no_part_of_either_fingerprint():
    other = replace(an_order(), request_id="")

    assert other.fingerprint == an_order().fingerprint
    assert other.form_fingerprint(["p"]) == an_order().form_fingerprint(["p"])


def test_a_price_by_its_id_and_by_its_lookup_key_is_the_same_form():
    by_id = an_order(line_items=[pb.LineItem(price="price_1")])

    assert by_id.form_fingerprint(["price_1"]) == an_order().form_fingerprint(["price_1"])
    assert by_id.form_fingerprint(["price_1"]) != an_order().form_fingerprint(["price_2"])


def test_no_quantity_means_one():
    one = an_order(line_items=[pb.LineItem(price="basic_monthly", quantity=1)])

    assert one.fingerprint == an_order().fingerprint


def test_the_order_of_metadata_does_not_matter():
    forth = an_order(metadata={"a": "1", "b": "2"})
    back = an_order(metadata={"b": "2", "a": "1"})

    assert forth.fingerprint == back.fingerprint


def test_a_request_id_is_read_without_regard_to_case():
    upper = an_order(request_id="0B7E9A52-6F6E-4F57-9C7E-0D2B8F8F2C1A")

    assert upper.request_id == an_order().request_id


def test_the_account_is_named_wherever_an_event_may_look_for_it():
    params = checkout_params(an_order(metadata={"campaign": "spring"}), [PRICE], "cus_1")

    named = {"campaign": "spring", "account_id": "acct_1"}
    assert params["metadata"] == named
    assert params["subscription_data"]["metadata"] == named
    assert params["client_reference_id"] == "acct_1"


def test_a_metered_price_is_sold_without_a_quantity():
    metered = replace(PRICE, metered=True)

    params = checkout_params(an_order(), [metered], "cus_1")

    assert params["line_items"] == [{"price": "price_1"}]


def test_what_was_not_asked_for_is_not_sent():
    params = checkout_params(an_order(), [PRICE], "cus_1")

    assert not params.keys() & {"locale", "custom_text", "allow_promotion_codes", "success_url"}
    assert "trial_period_days" not in params["subscription_data"]


def test_a_hosted_page_is_asked_for_in_the_pinned_versions_words():
    hosted = an_order(
        ui_mode=pb.UI_MODE_HOSTED_PAGE,
        return_url="",
        success_url="https://app.example.com/thanks",
        cancel_url="https://app.example.com/pricing",
    )

    params = checkout_params(hosted, [PRICE], "cus_1")

    assert params["ui_mode"] == "hosted_page"
    assert params["success_url"] == "https://app.example.com/thanks"
    assert params["cancel_url"] == "https://app.example.com/pricing"
    assert "return_url" not in params


def test_equal_data_has_equal_names():
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1}) != digest({"a": 1, "b": [3]})
