"""The one place that turns errors into gRPC statuses with `google.rpc` details."""

from dataclasses import dataclass

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from billing_service.errors import BillingError, StateNotAvailable, StripeMisconfigured
from billing_service.stripe_errors import StripeRefused
from subscription_state.errors import StateUnavailable

DOMAIN = "paidup.dev"
_INTERNAL = "Something went wrong here; the log has it."


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusAnswer:
    """A status as it goes over the wire."""

    #: A name of `grpc.StatusCode`.
    code: str
    message: str
    #: A serialized `google.rpc.Status`.
    details: bytes


def status_for(error: Exception) -> StatusAnswer:
    """Answer an error; one that callers cannot act upon says nothing of itself."""
    told = _told(error)
    if told is None:
        return _answer("INTERNAL", _INTERNAL, [])
    return _answer(told.code, str(told), _details(told))


def _told(error: Exception) -> BillingError | None:
    if isinstance(error, BillingError):
        return error
    if isinstance(error, StateUnavailable):
        return StateNotAvailable()
    # A refusal that nobody translated: our request was wrong, or our settings are.
    return StripeMisconfigured() if isinstance(error, StripeRefused) else None


def _details(error: BillingError) -> list[Message]:
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    ]
    if error.violations:
        details.append(_bad_request(error))
    if error.retry_delay is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromTimedelta(error.retry_delay)
        details.append(retry)
    return details


def _bad_request(error: BillingError) -> error_details_pb2.BadRequest:
    violations = [
        error_details_pb2.BadRequest.FieldViolation(field=each.field, description=each.description)
        for each in error.violations
    ]
    return error_details_pb2.BadRequest(field_violations=violations)


def _answer(code: str, message: str, details: list[Message]) -> StatusAnswer:
    status = status_pb2.Status(code=code_pb2.Code.Value(code), message=message)
    for detail in details:
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return StatusAnswer(code=code, message=message, details=status.SerializeToString())
