"""
What an endpoint accepts, read from the SDK's own parameter types.

`stripe.params` describes every parameter as TypedDicts; they are walked when first
needed and remembered. A parameter that the pinned API version dropped is unknown
here just as it is to Stripe.
"""

import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, Literal, NotRequired, Union, get_args, get_origin

from stripe import RequestOptions

from stripe_emulator.errors import InvalidParameters, MissingParameter
from stripe_emulator.form import Form, Value

Params = dict[str, Any]

#: Names that the annotations mention and their modules import for type checkers only.
UNRESOLVED = {"Mapping": Mapping, "StripeContext": str}
MOST_METADATA_KEYS = 50
LONGEST_METADATA_KEY = 40
LONGEST_METADATA_VALUE = 500


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The alternatives that one annotation allows."""

    literals: tuple[str, ...] = ()
    scalars: frozenset[type] = frozenset()
    fields: type | None = None
    element: object = None
    value: object = None


def check(accepts: type | None, form: Form, requires: tuple[str, ...] = ()) -> Params:
    params = _fields(accepts, form, "") if accepts else _nothing(form)
    for name in requires:
        if name not in params:
            raise MissingParameter(name)
    return params


def _nothing(form: Form) -> Params:
    _refuse_unknown(list(form))
    return {}


def _fields(accepts: type, form: Form, path: str) -> Params:
    known = annotations_of(accepts)
    _refuse_unknown([_join(path, name) for name in form if name not in known])
    for name in sorted(required_of(accepts)):
        if name not in form:
            raise MissingParameter(_join(path, name))
    return {
        name: _value(shape_of(known[name]), value, _join(path, name))
        for name, value in form.items()
    }


def _refuse_unknown(names: list[str]) -> None:
    if not names:
        return
    plural = "s" if len(names) > 1 else ""
    raise InvalidParameters(
        f"Received unknown parameter{plural}: {', '.join(names)}",
        code="parameter_unknown",
        param=names[0],
    )


def _value(shape: Shape, raw: Value, path: str) -> Any:
    if isinstance(raw, str):
        return _scalar(shape, raw, path)
    if isinstance(raw, list):
        return _array(shape, raw, path)
    if shape.fields is not None:
        return _fields(shape.fields, raw, path)
    if shape.value is not None:
        return _map(shape, raw, path)
    return _array(shape, _indexed(raw, path), path)


def _indexed(raw: Form, path: str) -> list[Value]:
    if not all(key.isdecimal() and key.isascii() for key in raw):
        raise InvalidParameters("Invalid array", param=path)
    return [raw[key] for key in sorted(raw, key=lambda key: (len(key.lstrip("0")), key))]


def _array(shape: Shape, raw: list[Value], path: str) -> list[Any]:
    if shape.element is None:
        raise InvalidParameters(
            "Invalid object" if _is_object(shape) else "Invalid string", param=path
        )
    element = shape_of(shape.element)
    return [_value(element, value, f"{path}[{index}]") for index, value in enumerate(raw)]


def _map(shape: Shape, raw: Form, path: str) -> Params:
    if path.endswith("metadata"):
        _check_metadata(raw, path)
    value = shape_of(shape.value)
    return {key: _map_value(value, inner, _join(path, key)) for key, inner in raw.items()}


def _map_value(shape: Shape, raw: Value, path: str) -> Any:
    # An empty value unsets its key, so a map takes what a plain string may not be.
    return "" if raw == "" else _value(shape, raw, path)


def _check_metadata(raw: Form, path: str) -> None:
    if len(raw) > MOST_METADATA_KEYS:
        raise InvalidParameters(
            f"You can set up to {MOST_METADATA_KEYS} metadata keys.", param=path
        )
    for key, value in raw.items():
        if len(key) > LONGEST_METADATA_KEY:
            raise InvalidParameters(
                f"Metadata keys can be at most {LONGEST_METADATA_KEY} characters.", param=path
            )
        if len(value) > LONGEST_METADATA_VALUE:
            raise InvalidParameters(
                f"Metadata values can be at most {LONGEST_METADATA_VALUE} characters.",
                param=_join(path, key),
            )


def _scalar(shape: Shape, raw: str, path: str) -> Any:
    if raw in shape.literals:
        return raw
    choices = [literal for literal in shape.literals if literal]
    for kind in (kind for kind in CONVERSIONS if kind in shape.scalars):
        # The SDK leaves its enumerations open for newer versions; Stripe does not.
        if kind is str and choices:
            continue
        return _converted(kind, raw, path, final=not choices)
    raise _mismatch(shape, choices, raw, path)


def _converted(kind: type, raw: str, path: str, *, final: bool) -> Any:
    try:
        return CONVERSIONS[kind](raw, path)
    except ValueError as error:
        name = NAMES[kind]
        code = f"parameter_invalid_{name}" if final and kind is int else None
        raise InvalidParameters(f"Invalid {name}: {raw[:80]}", code=code, param=path) from error


def _mismatch(shape: Shape, choices: list[str], raw: str, path: str) -> InvalidParameters:
    if choices:
        return InvalidParameters(
            f"Invalid {path}: must be one of {_listed(choices)}, not {raw[:80]!r}", param=path
        )
    return InvalidParameters("Invalid object" if _is_object(shape) else "Invalid array", param=path)


def _listed(choices: list[str]) -> str:
    return choices[0] if len(choices) == 1 else f"{', '.join(choices[:-1])}, or {choices[-1]}"


def _is_object(shape: Shape) -> bool:
    return shape.fields is not None or shape.value is not None


def _string(raw: str, path: str) -> str:
    if raw:
        return raw
    raise InvalidParameters(
        f"You passed an empty string for '{path}'. We assume empty values are an attempt to "
        f"unset a field; however '{path}' cannot be unset. You should remove '{path}' from "
        "your request or supply a non-empty value.",
        code="parameter_invalid_empty",
        param=path,
    )


def _integer(raw: str, _path: str) -> int:
    # int() would take more than Stripe does: other alphabets' digits, underscores, blanks.
    if INTEGER.fullmatch(raw) is None or not -(2**63) <= int(raw) < 2**63:
        raise ValueError(raw)
    return int(raw)


def _boolean(raw: str, _path: str) -> bool:
    if raw not in BOOLEANS:
        raise ValueError(raw)
    return BOOLEANS[raw]


def _decimal(raw: str, _path: str) -> str:
    """Check only: Stripe answers with the decimal as it was sent."""
    try:
        finite = Decimal(raw).is_finite()
    except InvalidOperation as error:
        raise ValueError(raw) from error
    if not finite:
        raise ValueError(raw)
    return raw


INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
BOOLEANS = {"true": True, "false": False}
#: In the order tried: a union of int and str means "an integer if it looks like one".
CONVERSIONS: dict[type, Callable[[str, str], Any]] = {
    int: _integer,
    bool: _boolean,
    float: lambda raw, path: float(_decimal(raw, path)),
    Decimal: _decimal,
    str: _string,
}
NAMES = {int: "integer", bool: "boolean", float: "decimal", Decimal: "decimal", str: "string"}


def _join(path: str, name: str) -> str:
    return f"{path}[{name}]" if path else name


@cache
def annotations_of(accepts: type) -> dict[str, Any]:
    hints = typing.get_type_hints(accepts, localns=UNRESOLVED)
    # The SDK mixes how to send a request with what to send.
    return {
        name: hint for name, hint in hints.items() if name not in RequestOptions.__annotations__
    }


@cache
def required_of(accepts: type) -> frozenset[str]:
    required: frozenset[str] = getattr(accepts, "__required_keys__", frozenset())
    return required


@cache
def shape_of(annotation: Any) -> Shape:
    alternatives = list(_alternatives(annotation))
    return Shape(
        literals=tuple(
            literal
            for one in alternatives
            if get_origin(one) is Literal
            for literal in get_args(one)
        ),
        scalars=frozenset(one for one in alternatives if one in CONVERSIONS),
        fields=next((one for one in alternatives if hasattr(one, "__required_keys__")), None),
        element=_argument(alternatives, list, 0),
        value=_argument(alternatives, dict, 1),
    )


def _alternatives(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        for argument in get_args(annotation):
            yield from _alternatives(argument)
    elif origin is NotRequired:
        yield from _alternatives(get_args(annotation)[0])
    else:
        yield annotation


def _argument(alternatives: list[Any], origin: type, position: int) -> object:
    found = (one for one in alternatives if get_origin(one) is origin)
    return next((get_args(one)[position] for one in found), None)
