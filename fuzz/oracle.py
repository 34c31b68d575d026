"""What no answer may be, whatever was sent."""

import re
from collections import Counter
from dataclasses import dataclass, field

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

#: Keys, signing secrets, client secrets, e-mail addresses; SQL and the innards of a process.
LEAKS = re.compile(
    r"[sr]k_(test|live)_\w|whsec_\w|_secret_\w|\w@example\.(com|org)"
    r"|\bSELECT\b.*\bFROM\b|\bINSERT INTO\b|sqlalchemy|asyncpg\.|Traceback"
)
#: Nothing that a caller sends may have one of these as its answer.
ACCIDENTS = frozenset(
    {
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DATA_LOSS,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)
DOMAIN = "paidup.dev"


class Wrong(AssertionError):
    """An answer that must not be; the text says why."""


@dataclass
class Tally:
    """What became of one target's inputs."""

    outcomes: Counter[str] = field(default_factory=Counter)

    @property
    def inputs(self) -> int:
        return self.outcomes.total()


def check_text(text: str, *, of: str, asked: str = "") -> None:
    """Raise `Wrong` for what nobody may be told; what the caller asked about may be repeated."""
    known = {each[0] for each in LEAKS.finditer(asked)}
    for found in LEAKS.finditer(text):
        if found[0] not in known:
            raise Wrong(f"{of} tells what it must not: {found[0][:12]}…")


def check_status(error: grpc.aio.AioRpcError) -> None:
    """Raise `Wrong` unless a refusal has a code, a reason and, of a request, its fields."""
    code, text = error.code(), error.details() or ""
    if code in ACCIDENTS:
        raise Wrong(f"answered {code.name}: {text}")
    check_text(text, of="an error")
    info, bad_request = _details(error)
    if info is None or not info.reason or info.domain != DOMAIN:
        raise Wrong(f"{code.name} gives no reason: {text}")
    if code is grpc.StatusCode.INVALID_ARGUMENT and not bad_request.field_violations:
        raise Wrong(f"{info.reason} names no field: {text}")


def _details(
    error: grpc.aio.AioRpcError,
) -> tuple[error_details_pb2.ErrorInfo | None, error_details_pb2.BadRequest]:
    status = rpc_status.from_call(error)
    info, bad_request = None, error_details_pb2.BadRequest()
    for packed in status.details if status else ():
        if packed.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            packed.Unpack(info)
        elif packed.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            packed.Unpack(bad_request)
    return info, bad_request
