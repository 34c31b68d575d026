import inspect
from datetime import timedelta

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from billing_service import errors
from billing_service.error_status import DOMAIN, status_for
from billing_service.errors import BillingError, Violation
from billing_service.stripe_errors import StripeRefused
from paidup.v1.error_reason_pb2 import ErrorReason
from subscription_state.errors import StateUnavailable, UnexpectedShape, WrongDeployment

#: One of each, with the code, the metadata that the contract promises, and whether to retry.
CASES = [
    (errors.InvalidRequest(Violation(field="f", description="d")), "INVALID_ARGUMENT", {}, False),
    (errors.UrlNotAllowed("return_url"), "INVALID_ARGUMENT", {"field"}, False),
    (errors.InvalidToken("page_token"), "INVALID_ARGUMENT", {"field"}, False),
    (errors.PriceNotFound("p"), "NOT_FOUND", {"price"}, False),
    (errors.SessionNotFound("cs_1"), "NOT_FOUND", {"session_id"}, False),
    (errors.CustomerNotFound("a"), "NOT_FOUND", {"account_id"}, False),
    (
        errors.CustomerNotFound.at_stripe("a", "cus_1"),
        "NOT_FOUND",
        {"account_id", "customer_id"},
        False,
    ),
    (errors.CustomerLinked("a", "cus_1"), "ALREADY_EXISTS", {"account_id", "customer_id"}, False),
    (errors.EventNotFound("evt_1"), "NOT_FOUND", {"event_id"}, False),
    (errors.GrantNotFound("grant_1"), "NOT_FOUND", {"grant_id"}, False),
    (
        errors.AlreadySubscribed(subscription_id="sub_1", product_id="prod_1"),
        "FAILED_PRECONDITION",
        {"subscription_id", "product_id"},
        False,
    ),
    (errors.SubscriptionAmbiguous("a"), "FAILED_PRECONDITION", {"account_id"}, False),
    (errors.RequestIdReused("id"), "ALREADY_EXISTS", {"request_id"}, False),
    (errors.StripeMisconfigured(), "FAILED_PRECONDITION", {}, False),
    (errors.Unauthenticated("Nobody."), "UNAUTHENTICATED", {}, False),
    (
        errors.MethodNotAllowed(caller="c", method="m"),
        "PERMISSION_DENIED",
        {"caller", "method"},
        False,
    ),
    (
        errors.AccountNotAllowed(caller="c", method="m"),
        "PERMISSION_DENIED",
        {"caller", "method"},
        False,
    ),
    (errors.StripeUnavailable(), "UNAVAILABLE", {}, True),
    (errors.StateNotAvailable(), "UNAVAILABLE", {}, True),
    (errors.RevisionNotReached(), "UNAVAILABLE", {}, True),
    (errors.Overloaded(), "RESOURCE_EXHAUSTED", {}, True),
]

#: What the RPCs that this server offers may answer with.
OFFERED = {
    "INVALID_REQUEST",
    "URL_NOT_ALLOWED",
    "PRICE_NOT_FOUND",
    "ALREADY_SUBSCRIBED",
    "SESSION_NOT_FOUND",
    "CUSTOMER_NOT_FOUND",
    "REQUEST_ID_REUSED",
    "STRIPE_UNAVAILABLE",
    "STATE_UNAVAILABLE",
    "STRIPE_MISCONFIGURED",
    "REVISION_NOT_REACHED",
    "INVALID_TOKEN",
    "SUBSCRIPTION_AMBIGUOUS",
    "OVERLOADED",
    "CUSTOMER_LINKED",
    "EVENT_NOT_FOUND",
    "GRANT_NOT_FOUND",
    "UNAUTHENTICATED",
    "METHOD_NOT_ALLOWED",
    "ACCOUNT_NOT_ALLOWED",
}


def _classes() -> set[type[BillingError]]:
    found = {each for _, each in inspect.getmembers(errors, inspect.isclass)}
    return {each for each in found if issubclass(each, BillingError) and hasattr(each, "reason")}


def _details(error: Exception):
    status = status_pb2.Status.FromString(status_for(error).details)
    found = {}
    for packed in status.details:
        kind = getattr(error_details_pb2, packed.type_url.rpartition(".")[2])
        found[kind.__name__] = kind.FromString(packed.value)
    return status, found


def test_every_class_of_error_is_tried_here():
    assert {type(error) for error, *_ in CASES} == _classes()


def test_reasons_and_classes_answer_each_other():
    reasons = [each.reason for each in _classes()]

    assert sorted(reasons) == sorted(f"ERROR_REASON_{name}" for name in OFFERED)
    assert set(reasons) <= set(ErrorReason.keys())


@pytest.mark.parametrize(("error", "code", "metadata", "retry"), CASES)
def test_an_error_is_told_as_the_contract_says(error, code, metadata, retry):
    answer = status_for(error)
    status, details = _details(error)

    assert answer.code == code
    assert status.code == grpc.StatusCode[code].value[0]
    assert status.message == answer.message == str(error)
    info = details["ErrorInfo"]
    assert (info.reason, info.domain) == (error.reason, DOMAIN)
    assert set(info.metadata) >= set(metadata)
    assert ("RetryInfo" in details) == retry
    assert ("BadRequest" in details) == (code == "INVALID_ARGUMENT")


def test_a_delay_reaches_the_caller():
    _, details = _details(errors.StripeUnavailable(timedelta(seconds=7)))

    assert details["RetryInfo"].retry_delay.ToTimedelta() == timedelta(seconds=7)


def test_a_violation_reaches_the_caller():
    error = errors.InvalidRequest(Violation(field="locale", description="Is not known."))

    _, details = _details(error)

    violation = details["BadRequest"].field_violations[0]
    assert (violation.field, violation.description) == ("locale", "Is not known.")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (StateUnavailable("postgresql://user:password@host"), "ERROR_REASON_STATE_UNAVAILABLE"),
        (StripeRefused(status=400, code="x", param="y"), "ERROR_REASON_STRIPE_MISCONFIGURED"),
    ],
)
def test_an_error_of_another_layer_is_told_in_our_words(error, reason):
    _, details = _details(error)

    assert details["ErrorInfo"].reason == reason
    assert "password" not in status_for(error).message


@pytest.mark.parametrize(
    "error", [ValueError("sk_test_secret"), WrongDeployment("x"), UnexpectedShape("x")]
)
def test_anything_else_says_nothing_of_itself(error):
    answer = status_for(error)
    status, details = _details(error)

    assert answer.code == "INTERNAL"
    assert "sk_test" not in answer.message
    assert status.message == answer.message
    assert details == {}


def test_an_answer_fits_into_what_clients_take_however_much_is_wrong():
    worst = "\N{GRINNING FACE}" * 40
    wrong = [
        Violation(field=f"metadata[{number}{worst}]", description="Has more than 500 characters.")
        for number in range(200)
    ]
    error = errors.InvalidRequest(*wrong)

    answer = status_for(error)

    assert error.violations
    # gRPC's own limit is 8 KiB, and the message is sent percent-encoded.
    assert 3 * len(answer.message.encode()) + len(answer.details) < 8 * 1024
    assert "more" in answer.message
