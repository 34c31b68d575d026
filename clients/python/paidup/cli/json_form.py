"""The contract's messages as JSON that scripts can rely on.

Every field is there under its own name. Enumerations lose the prefix of their type,
times are RFC 3339 in UTC, and what a message does not have is null.
"""

import re
from typing import Any

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp


def as_json(message: Message) -> dict[str, Any]:
    return {field.name: _value(message, field) for field in message.DESCRIPTOR.fields}


def short_name(enum: EnumDescriptor, number: int) -> str:
    """Return a value's name without its type's prefix; of a newer service's, the number."""
    value = enum.values_by_number.get(number)
    if value is None:
        return f"UNKNOWN_{number}"
    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper()
    return str(value.name).removeprefix(f"{prefix}_")


def _value(message: Message, field: Any) -> Any:
    value = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return dict(value)
    if field.is_repeated:
        return [_one(field, each) for each in value]
    if field.has_presence and not message.HasField(field.name):
        return None
    return _one(field, value)


def _one(field: Any, value: Any) -> Any:
    if field.enum_type is not None:
        return short_name(field.enum_type, value)
    if isinstance(value, Timestamp):
        return value.ToJsonString()
    if isinstance(value, Message):
        return as_json(value)
    return value
