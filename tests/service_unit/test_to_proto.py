from datetime import UTC, datetime

import pytest

from billing_service import to_proto
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1 import entitlement_pb2, subscription_pb2
from subscription_state.entitlements import Decision, Reason, Subject
from subscription_state.model import Status
from tests.builders import NOW, a_stored_subscription, a_subscription, an_item

FEATURE = Subject(feature="reports")


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_its_word_in_the_contract(reason):
    told = to_proto.entitlement_to_proto("a", FEATURE, Decision(reason=reason))

    name = entitlement_pb2.EntitlementReason.Name(told.reason)
    assert name == f"ENTITLEMENT_REASON_{reason.value}"
    assert told.entitled == Decision(reason=reason).entitled


def test_every_word_of_the_contract_is_a_reason():
    named = {
        name.removeprefix("ENTITLEMENT_REASON_")
        for name, _ in entitlement_pb2.EntitlementReason.items()
    }

    assert named - {"UNSPECIFIED"} == {reason.value for reason in Reason}


@pytest.mark.parametrize("status", Status)
def test_every_status_has_its_word_in_the_contract(status):
    stored = a_stored_subscription(a_subscription(status=status))

    told = to_proto.subscription_to_proto(stored)

    word = "UNSPECIFIED" if status is Status.UNKNOWN else status.name
    name = subscription_pb2.SubscriptionStatus.Name(told.status)
    assert name == f"SUBSCRIPTION_STATUS_{word}"


def test_a_decision_without_a_subscription_has_no_status():
    told = to_proto.entitlement_to_proto("a", FEATURE, Decision(reason=Reason.NO_SUBSCRIPTION))

    assert told.subscription_status == subscription_pb2.SUBSCRIPTION_STATUS_UNSPECIFIED
    assert not told.HasField("valid_until_time")


@pytest.mark.parametrize(
    ("subject", "kind"), [(FEATURE, "feature"), (Subject(product_id="prod_1"), "product_id")]
)
def test_the_subject_is_given_back_as_it_was_asked(subject, kind):
    told = to_proto.entitlement_to_proto("a", subject, Decision(reason=Reason.ACTIVE))

    assert told.WhichOneof("subject") == kind
    assert getattr(told, kind) == getattr(subject, kind)


def test_a_whole_subscription_is_told():
    subscription = a_subscription(
        trial_end=NOW, cancel_time=NOW, end_time=NOW, items=(an_item(quantity=3),)
    )

    told = to_proto.subscription_to_proto(a_stored_subscription(subscription, verified_at=NOW))

    assert (told.subscription_id, told.customer_id) == ("sub_1", "cus_1")
    assert told.items[0].quantity == 3
    for field in ("trial_end_time", "cancel_time", "end_time", "verify_time"):
        assert getattr(told, field).ToDatetime(UTC) == NOW


def test_times_that_are_absent_stay_absent():
    stored = a_stored_subscription(a_subscription(items=(an_item(period_end=None),)))

    told = to_proto.subscription_to_proto(stored)

    for field in ("trial_end_time", "cancel_time", "end_time", "verify_time"):
        assert not told.HasField(field)
    assert not told.items[0].HasField("current_period_end_time")
    assert told.HasField("create_time")


def test_the_epoch_is_a_time_like_any_other():
    assert to_proto.time_to_proto(datetime.fromtimestamp(0, UTC)) is not None
    assert to_proto.time_to_proto(None) is None


@pytest.mark.parametrize("status", ["open", "complete", "expired"])
def test_every_status_of_a_session_has_its_word(status):
    told = pb.SessionStatus.Name(to_proto.session_status_to_proto(status))

    assert told == f"SESSION_STATUS_{status.upper()}"


@pytest.mark.parametrize("status", ["paid", "unpaid", "no_payment_required"])
def test_every_payment_status_has_its_word(status):
    told = pb.PaymentStatus.Name(to_proto.payment_status_to_proto(status))

    assert told == f"PAYMENT_STATUS_{status.upper()}"


def test_a_word_that_stripe_may_add_is_no_crash():
    assert to_proto.session_status_to_proto("new") == pb.SESSION_STATUS_UNSPECIFIED
    assert to_proto.payment_status_to_proto("new") == pb.PAYMENT_STATUS_UNSPECIFIED
