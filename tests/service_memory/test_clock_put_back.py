"""A machine's clock that was fast for a while leaves no wrong answers behind."""

from datetime import timedelta

from billing_service.memory import Account
from subscription_state.entitlements import Policy, Subject
from subscription_state.model import AccountState
from tests.builders import NOW, a_catalog, a_subscription

CATALOG = a_catalog()
REPORTS = Subject(feature="reports")


def test_what_was_decided_by_a_fast_clock_is_decided_anew():
    ends = NOW + timedelta(minutes=5)
    held = a_subscription(cancel_time=ends)
    account = Account(AccountState(account_id="acme", subscriptions=(held,)))

    def entitled(now):
        return account.decide(REPORTS, catalog=CATALOG, policy=Policy(), now=now).entitled

    assert entitled(NOW)
    assert not entitled(NOW + timedelta(minutes=10))
    assert entitled(NOW)
