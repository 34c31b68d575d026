import logging

import pytest

from subscription_state.faults import place_of
from tests.gateway.clients import Stripe, an_event
from tests.gateway.databases import SharedDatabase
from webhook_gateway.alarms import Alarms
from webhook_gateway.metrics import type_label
from webhook_gateway.refusals import REFUSALS, Reason


@pytest.fixture
def database(sqlite: SharedDatabase) -> SharedDatabase:
    return sqlite


def test_an_alarm_is_raised_once_in_ten_seconds(caplog: pytest.LogCaptureFixture) -> None:
    times = iter([0.0, 1.0, 9.9, 10.0])
    alarms = Alarms(clock=lambda: next(times))

    for _ in range(4):
        alarms.warn("webhook_test")

    raised = [(record.getMessage(), record.suppressed) for record in caplog.records]
    assert raised == [("webhook_test", 0), ("webhook_test", 2)]


def test_one_alarm_does_not_silence_another(caplog: pytest.LogCaptureFixture) -> None:
    alarms = Alarms(clock=lambda: 0.0)

    alarms.warn("webhook_one")
    alarms.warn("webhook_other")

    assert [record.getMessage() for record in caplog.records] == ["webhook_one", "webhook_other"]


async def test_a_wrong_secret_raises_an_alarm_that_names_the_setting(
    stripe: Stripe, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        await stripe.deliver(an_event(), secret="whsec_wrong")

    [record] = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert record.getMessage() == "webhook_signature_mismatch"
    assert "PAIDUP_WEBHOOK_SECRETS" in record.hint
    assert "whsec_" not in caplog.text


async def test_a_foreign_event_raises_an_alarm(
    stripe: Stripe, caplog: pytest.LogCaptureFixture
) -> None:
    await stripe.deliver(an_event(livemode=True))

    [record] = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert (record.getMessage(), record.event_id) == ("webhook_event_foreign", "evt_1")


def test_every_reason_has_its_answer() -> None:
    assert REFUSALS.keys() == set(Reason)


def test_only_what_is_not_stored_asks_to_be_sent_later() -> None:
    unavailable = {reason for reason, told in REFUSALS.items() if told.status == 503}

    assert unavailable == {
        Reason.OVERLOADED,
        Reason.TOO_MANY_CONNECTIONS,
        Reason.NOT_STORED,
    }


@pytest.mark.parametrize(
    ("type_", "label"),
    [
        ("customer.subscription.updated", "customer.subscription.updated"),
        ("invoice.paid", "invoice.paid"),
        ("customer.subscription.made_up_tomorrow", "other"),
        ("payout.paid", "other"),
        ("", "other"),
    ],
)
def test_the_label_of_a_type_does_not_grow_with_what_is_sent(type_: str, label: str) -> None:
    assert type_label(type_) == label


def test_a_fault_elsewhere_has_no_place_of_ours() -> None:
    assert place_of(ValueError("never raised")) == "unknown"
