"""Requests drawn from the contract itself: any field, nearly right or far from it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

#: Nested messages deeper than that stay empty.
DEPTH = 3
INTEGERS = [
    0,
    1,
    -1,
    2,
    41,
    100,
    1001,
    999_999,
    2**31 - 1,
    -(2**31),
    2**32 - 1,
    2**63 - 1,
    -(2**63),
]
URLS = [
    "https://app.example.com/return?session_id={CHECKOUT_SESSION_ID}",
    "http://localhost:4242/return?session_id={CHECKOUT_SESSION_ID}",
    "https://evil.test/{CHECKOUT_SESSION_ID}",
    "https://app.example.com@evil.test/{CHECKOUT_SESSION_ID}",
    "https://app.example.com.evil.test/{CHECKOUT_SESSION_ID}",
    "https://app.example.com\\@evil.test/{CHECKOUT_SESSION_ID}",
    "//evil.test/{CHECKOUT_SESSION_ID}",
    "javascript:alert(1)//{CHECKOUT_SESSION_ID}",
    "https://[::1/{CHECKOUT_SESSION_ID}",
    "https://app.example.com:99999/{CHECKOUT_SESSION_ID}",
]
ODD = [
    "",
    " ",
    "\x00",
    "\u202e",
    "acme\n",
    "' OR 1=1 --",
    "%s%n{0}",
    "../../etc/passwd",
    "x" * 201,
    "x" * 10_000,
    "ada@example.com",
    "00000000-0000-4000-8000-000000000000",
    "reports",
    "en",
    "cus_nobody",
    "AAAA",
]
_RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


def texts(known: Sequence[str]) -> st.SearchStrategy[str]:
    """Draw texts: such that exist, such with one letter changed, and any."""
    existing = st.sampled_from([*known, *URLS])
    return st.one_of(existing, existing.flatmap(_bent), st.sampled_from(ODD), _any_text)


_any_text = st.text(st.characters(codec="utf-8"), max_size=40)


def _bent(text: str) -> st.SearchStrategy[str]:
    at = st.integers(0, max(0, len(text) - 1))
    return st.builds(
        lambda place, letter: text[:place] + letter + text[place + 1 :],
        at,
        st.sampled_from(["", "A", "_", "=", "\x00", "é"]),
    )


def nearly_right(kind: type[Message], known: Mapping[str, str]) -> st.SearchStrategy[Message]:
    """Draw a request that would do, but for two fields at most."""
    return st.builds(
        _changed,
        st.just(kind),
        st.just(known),
        messages(kind, [*known.values()]),
        st.sets(st.sampled_from([each.name for each in kind.DESCRIPTOR.fields]), max_size=2),
    )


def _changed(
    kind: type[Message], known: Mapping[str, str], drawn: Message, names: Collection[str]
) -> Message:
    request: Message = right(kind, known)
    for name in names:
        request.ClearField(name)
        changed = kind()
        changed.CopyFrom(drawn)
        for other in [each.name for each in kind.DESCRIPTOR.fields if each.name != name]:
            changed.ClearField(other)
        request.MergeFrom(changed)
    return request


def right(kind: type[Message], known: Mapping[str, str]) -> Any:
    """Make a request of what exists, as far as fields' names tell."""
    request: Any = kind()
    fields: Sequence[Any] = kind.DESCRIPTOR.fields
    for field in fields:
        if field.name in known and not field.is_repeated:
            setattr(request, field.name, known[field.name])
        elif field.name in known:
            getattr(request, field.name).append(known[field.name])
        elif field.name in ("line_items", "checks"):
            inner = message_factory.GetMessageClass(field.message_type)
            getattr(request, field.name).append(right(inner, known))
    return request


@st.composite
def messages(
    draw: st.DrawFn, kind: type[Message], known: Sequence[str], depth: int = DEPTH
) -> Message:
    """Draw a message of this kind; each field may be left out."""
    message = kind()
    for field in kind.DESCRIPTOR.fields:
        if draw(st.booleans()):
            _fill(draw, message, field, known, depth)
    return message


def _fill(draw: st.DrawFn, message: Any, field: Any, known: Sequence[str], depth: int) -> None:
    if _is_map(field):
        entries = st.dictionaries(texts(known), texts(known), max_size=3)
        getattr(message, field.name).update(draw(entries))
    elif field.is_repeated:
        count = draw(st.sampled_from([0, 1, 1, 2, 3, 1001 if depth == DEPTH else 2]))
        # One value many times: a thousand draws would take longer than what they find.
        getattr(message, field.name).extend([draw(_values(field, known, depth))] * count)
    elif field.message_type is not None:
        getattr(message, field.name).CopyFrom(draw(_values(field, known, depth)))
    else:
        setattr(message, field.name, draw(_values(field, known, depth)))


def _is_map(field: Any) -> bool:
    kind: Descriptor | None = field.message_type
    return kind is not None and bool(kind.GetOptions().map_entry)


def _values(field: Any, known: Sequence[str], depth: int) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        kind = message_factory.GetMessageClass(field.message_type)
        return messages(kind, known, depth - 1) if depth else st.just(kind())
    if field.enum_type is not None:
        return st.sampled_from([*(each.number for each in field.enum_type.values), 999, -1])
    if field.cpp_type in _RANGES:
        least, most = _RANGES[field.cpp_type]
        return st.sampled_from([each for each in INTEGERS if least <= each <= most])
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return st.booleans()
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=40)
    return texts(known)
