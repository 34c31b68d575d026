"""
Stripe's form encoding: `a[b]=1`, `a[0][b]=1`, `a[][b]=1`.

Whether `a[0]` is the first of a list or the key "0" of a map only the parameter's
type can tell, so indexes stay dictionary keys here.
"""

import re
from urllib.parse import parse_qsl

from stripe_emulator.errors import InvalidParameters

Form = dict[str, "Value"]
Value = str | list["Value"] | Form

MOST_FIELDS = 2000
DEEPEST = 12

KEY = re.compile(r"(?P<name>[^\[\]]+)(?P<rest>(\[[^\[\]]*\])*)")
SEGMENT = re.compile(r"\[([^\[\]]*)\]")


def parse(encoded: str) -> Form:
    form: Form = {}
    for key, value in _pairs(encoded):
        _put(form, _segments(key), value, key)
    return form


def decode(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise InvalidParameters("The request's body is not valid UTF-8.") from error


def _pairs(encoded: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            encoded, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except ValueError as error:
        raise InvalidParameters("The request's parameters could not be decoded.") from error


def _segments(key: str) -> list[str]:
    match = KEY.fullmatch(key)
    if match is None:
        return [key]
    segments = [match["name"], *SEGMENT.findall(match["rest"])]
    if len(segments) > DEEPEST:
        raise InvalidParameters(f"Parameter nested too deeply: {key[:80]}", param=segments[0])
    return segments


def _put(node: Form, path: list[str], value: str, key: str) -> None:
    name, rest = path[0], path[1:]
    if not rest:
        _settle(node, name, value, key)
    elif rest[0] == "":
        _append(_list(node, name, key), rest[1:], value, key)
    else:
        _put(_map(node, name, key), rest, value, key)


def _settle(node: Form, name: str, value: str, key: str) -> None:
    if not isinstance(node.get(name, ""), str):
        raise _conflict(key)
    node[name] = value


def _list(node: Form, name: str, key: str) -> list[Value]:
    child = node.setdefault(name, [])
    if not isinstance(child, list):
        raise _conflict(key)
    return child


def _map(node: Form, name: str, key: str) -> Form:
    child = node.setdefault(name, {})
    if not isinstance(child, dict):
        raise _conflict(key)
    return child


def _append(items: list[Value], path: list[str], value: str, key: str) -> None:
    if not path:
        items.append(value)
        return
    last = items[-1] if items else None
    # A repeated key begins the next element: a[][x]=1&a[][y]=2&a[][x]=3 are two.
    if not isinstance(last, dict) or path[0] in last:
        last = {}
        items.append(last)
    _put(last, path, value, key)


def _conflict(key: str) -> InvalidParameters:
    return InvalidParameters(f"Parameter given in two shapes: {key[:80]}", param=key[:80])
