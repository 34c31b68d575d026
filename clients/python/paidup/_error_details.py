"""What a failed call says beside its code, read from its trailing metadata.

The service packs `google.rpc` messages into `grpc-status-details-bin`. Their
generated code is a distribution of its own, which callers need not have: the
few fields that are read here are declared here, in a pool of their own, so that
an installed googleapis-common-protos is never in the way.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from google.protobuf import any_pb2, duration_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

METADATA_KEY = "grpc-status-details-bin"

#: Reasons of anyone else, such as a proxy on the way, are not ours to interpret.
DOMAIN = "paidup.dev"

#: What is read of each message: its fields by number; a `[]` repeats. A map is,
#: on the wire, a repeated message of keys and values.
FIELDS = {
    "Status": {3: ("details", "google.protobuf.Any[]")},
    "ErrorInfo": {
        1: ("reason", "string"),
        2: ("domain", "string"),
        3: ("metadata", "google.rpc.Entry[]"),
    },
    "Entry": {1: ("key", "string"), 2: ("value", "string")},
    "BadRequest": {1: ("field_violations", "google.rpc.FieldViolation[]")},
    "FieldViolation": {1: ("field", "string"), 2: ("description", "string")},
    "RetryInfo": {1: ("retry_delay", "google.protobuf.Duration")},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldViolation:
    """A field of the request that breaks its rule."""

    #: Where it is, such as `line_items[0].price`.
    field: str
    #: What is wrong with it, in a sentence.
    description: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorDetails:
    """The readable part of the details; whatever is absent or malformed is empty."""

    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    field_violations: tuple[FieldViolation, ...] = ()
    retry_delay: timedelta | None = None


def decode(trailing_metadata: Iterable[tuple[str, str | bytes]] | None) -> ErrorDetails:
    """Read what can be read. Never raises: the call's code stands without it."""
    info, bad_request, retry_info = None, None, None
    for packed in _packed_details(trailing_metadata or ()):
        match packed.type_url.rpartition("/")[2]:
            case "google.rpc.ErrorInfo":
                info = info or _own_error_info(packed.value)
            case "google.rpc.BadRequest":
                bad_request = bad_request or _parse("BadRequest", packed.value)
            case "google.rpc.RetryInfo":
                retry_info = retry_info or _parse("RetryInfo", packed.value)
    return ErrorDetails(
        reason=info.reason if info else "",
        metadata={entry.key: entry.value for entry in info.metadata} if info else {},
        field_violations=_violations(bad_request) if bad_request else (),
        retry_delay=_delay(retry_info) if retry_info else None,
    )


def _packed_details(trailing_metadata: Iterable[tuple[str, str | bytes]]) -> Iterator[Any]:
    for key, value in trailing_metadata:
        if key == METADATA_KEY and isinstance(value, bytes):
            status = _parse("Status", value)
            yield from status.details if status else ()


def _own_error_info(value: bytes) -> Any | None:
    info = _parse("ErrorInfo", value)
    return info if info and info.domain == DOMAIN else None


def _violations(bad_request: Any) -> tuple[FieldViolation, ...]:
    return tuple(
        FieldViolation(field=violation.field, description=violation.description)
        for violation in bad_request.field_violations
    )


def _delay(retry_info: Any) -> timedelta | None:
    delay = retry_info.retry_delay
    try:
        return max(timedelta(), timedelta(seconds=delay.seconds, microseconds=delay.nanos // 1000))
    except OverflowError:
        return None


def _parse(name: str, value: bytes) -> Any | None:
    try:
        return _MESSAGES[name].FromString(value)
    except DecodeError:
        return None


def _declare(messages: Mapping[str, Mapping[int, tuple[str, str]]]) -> dict[str, type[Message]]:
    """Make message classes of `FIELDS`, unknown to protobuf's default pool."""
    file = FileDescriptorProto(
        name="google/rpc/status_details.proto",
        package="google.rpc",
        syntax="proto3",
        dependency=[any_pb2.DESCRIPTOR.name, duration_pb2.DESCRIPTOR.name],
        message_type=[
            DescriptorProto(name=name, field=[_field(number, *of) for number, of in fields.items()])
            for name, fields in messages.items()
        ],
    )
    pool = DescriptorPool()
    for dependency in (any_pb2.DESCRIPTOR, duration_pb2.DESCRIPTOR):
        pool.AddSerializedFile(dependency.serialized_pb)
    pool.Add(file)
    return {
        name: GetMessageClass(pool.FindMessageTypeByName(f"google.rpc.{name}")) for name in messages
    }


def _field(number: int, name: str, of: str) -> FieldDescriptorProto:
    of, repeated = of.removesuffix("[]"), of.endswith("[]")
    kind = FieldDescriptorProto
    declared = FieldDescriptorProto(
        name=name,
        number=number,
        label=kind.LABEL_REPEATED if repeated else kind.LABEL_OPTIONAL,
        type=kind.TYPE_STRING if of == "string" else kind.TYPE_MESSAGE,
    )
    if of != "string":
        declared.type_name = f".{of}"
    return declared


_MESSAGES = _declare(FIELDS)
