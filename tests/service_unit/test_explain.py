"""What a support engineer may send to a customer: whole sentences, the reason first."""

import re

import pytest

from billing_service.explain import explain
from subscription_state.entitlements import Decision, Policy, Reason, Subject, decide
from subscription_state.model import Status
from tests.builders import (
    DAY,
    NOW,
    a_catalog,
    a_grant,
    a_product,
    a_subscription,
    an_account,
    an_item,
)

REPORTS = Subject(feature="reports")
CATALOG = a_catalog(a_product("prod_team", "reports"), a_product("prod_other", "other"))
SENTENCE = re.compile(r"[A-Z].*\.")


def told(account, subject=REPORTS) -> list[str]:
    decision = decide(account, subject, catalog=CATALOG, policy=Policy(), now=NOW)
    return explain(account, subject, decision, CATALOG)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_its_sentence(reason):
    decision = Decision(reason=reason, subscription_id="sub_1")

    verdict, *_ = explain(an_account(), REPORTS, decision, {})

    begin = "The account may use" if decision.entitled else "The account may not use"
    assert verdict.startswith(f"{begin} reports: ")
    assert SENTENCE.fullmatch(verdict)
    assert "{" not in verdict


def test_a_paying_account_is_told_by_what():
    assert told(an_account(a_subscription())) == [
        "The account may use reports: subscription sub_1 is active and includes it.",
        "Products that include it: prod_team.",
        "Subscription sub_1 is active and includes it.",
    ]


def test_what_time_will_change_is_told():
    account = an_account(a_subscription(cancel_time=NOW + DAY))

    assert f"Time alone may change this at {NOW + DAY:%Y-%m-%d %H:%M} UTC." in told(account)
    assert told(account)[-1].endswith(f"; its end is set for {NOW + DAY:%Y-%m-%d %H:%M} UTC.")


def test_a_subscription_that_gives_something_else_is_told_as_such():
    account = an_account(a_subscription(items=(an_item(product_id="prod_other"),)))

    assert told(account)[0].endswith("what it subscribes to does not include it.")
    assert told(account)[-1] == "Subscription sub_1 is active and does not include it."


def test_a_product_is_asked_about_by_its_id():
    sentences = told(an_account(a_subscription()), Subject(product_id="prod_team"))

    assert sentences[0].startswith("The account may use prod_team: ")
    assert sentences[1:] == ["Subscription sub_1 is active and includes it."]


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ({}, "without an end."),
        ({"expire_time": NOW + DAY}, f"until {NOW + DAY:%Y-%m-%d %H:%M} UTC."),
        ({"revoke_time": NOW - DAY}, f"taken back on {NOW - DAY:%Y-%m-%d %H:%M} UTC."),
    ],
)
def test_a_grant_is_told_with_its_end(ends, said):
    account = an_account(grants=(a_grant(**ends), a_grant(grant_id="grant_2", feature="else")))

    (about,) = [each for each in told(account) if each.startswith("It was given by hand on")]
    assert about.endswith(said)


def test_neither_note_nor_creator_of_a_grant_is_for_the_customer():
    sentences = " ".join(told(an_account(grants=(a_grant(note="a friend", creator="alice"),))))

    assert "a friend" not in sentences
    assert "alice" not in sentences


def test_a_deleted_customer_is_told():
    assert told(an_account(a_subscription(), customer_deleted=True))[-1] == (
        "Stripe has deleted the customer."
    )


@pytest.mark.parametrize("status", Status)
def test_every_status_makes_a_sentence(status):
    for sentence in told(an_account(a_subscription(status=status))):
        assert SENTENCE.fullmatch(sentence)
        assert "_due" not in sentence
