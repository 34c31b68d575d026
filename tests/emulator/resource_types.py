"""
Holds what the emulator answers to the SDK's resource types.

A field that the pinned API version does not have, a value that it does not list, a type
that it does not have, and a missing field that is always there are all findings. What the
SDK calls optional may be null or away: its types do not tell these apart.
"""

import types
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib import import_module
from typing import Any, ClassVar, ForwardRef, Literal, TypeVar, Union, get_args, get_origin

import stripe
from stripe._object_classes import OBJECT_CLASSES
from stripe._stripe_object import UntypedStripeObject

Findings = list[str]
SCALARS: dict[Any, tuple[type, ...]] = {
    bool: (bool,),
    float: (float, int),
    int: (int,),
    str: (str,),
}


def findings(answer: Any) -> Findings:
    """What is wrong with an answer of the API's: an object, a list of them, or an error."""
    if isinstance(answer, dict) and "error" in answer:
        return _structure(answer["error"], stripe.ErrorObject, "error", partial=True)
    return _resource(answer, None, "")


def event_findings(event: dict[str, Any]) -> Findings:
    """What is wrong with an event, its object and what that was before."""
    subject = event["data"]["object"]
    before = event["data"].get("previous_attributes", {})
    kind = _class_of(subject.get("object"))
    return [
        *findings(event),
        *_structure(before, kind, f".{event['type']}.previous_attributes", partial=True),
    ]


def _resource(value: Any, expected: str | None, path: str) -> Findings:
    name = value.get("object") if isinstance(value, dict) else None
    if name == "list":
        return _list(value, Any, path)
    if name == "search_result":
        # The SDK's type leaves out what it reads itself, and that the last page names no next.
        page = {key: one for key, one in value.items() if key != "next_page"}
        return _list({**page, "object": "list"}, Any, path)
    kind = _class_of(name)
    if kind is None:
        return [f"{path or 'answer'}: no object of Stripe's: {str(value)[:60]}"]
    if expected is not None and kind.__name__ != expected:
        return [f"{path}: {kind.__name__} instead of {expected}"]
    if value.get("deleted"):
        return _structure(value, kind, path or name, partial=True)
    return _structure(value, kind, path or name)


@cache
def _class_of(name: Any) -> Any:
    if name not in OBJECT_CLASSES:
        return None
    module, class_name = OBJECT_CLASSES[name]
    return getattr(import_module(module), class_name)


def _structure(value: Any, kind: Any, path: str, *, partial: bool = False) -> Findings:
    """`partial`: of what has changed, and of what was deleted, anything may be away or null."""
    if not isinstance(value, dict):
        return [f"{path}: {value!r} instead of an object"]
    fields = _fields(kind)
    missing = [] if partial else sorted(fields.keys() - value.keys())
    return [
        *(f"{path}.{name}: unknown" for name in sorted(value.keys() - fields.keys())),
        *(f"{path}.{name}: missing" for name in missing if not _may_be_null(fields[name])),
        *(
            found
            for name, inner in value.items()
            if name in fields and not (partial and inner is None)
            for found in _value(inner, fields[name], f"{path}.{name}", partial=partial)
        ),
    ]


@cache
def _fields(kind: Any) -> dict[str, Any]:
    annotations: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        if issubclass(base, stripe.StripeObject) and base is not stripe.StripeObject:
            annotations.update(getattr(base, "__annotations__", {}))
    return {
        name: annotation
        for name, annotation in annotations.items()
        if get_origin(annotation) is not ClassVar and not name.startswith("_")
    }


def _may_be_null(annotation: Any) -> bool:
    return types.NoneType in _options(annotation)


def _options(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) is Union else (annotation,)


def _value(value: Any, annotation: Any, path: str, *, partial: bool = False) -> Findings:
    options = list(_options(annotation))
    if value is None:
        return [] if types.NoneType in options or annotation is Any else [f"{path}: null"]
    choices = _choices(annotation)
    if choices and isinstance(value, str):
        # The SDK leaves its enumerations open for newer versions; Stripe's own are closed.
        return _one_of(value, choices, path)
    tried = [
        _against(value, option, path, partial=partial)
        for option in options
        if option is not types.NoneType and (option is not str or not isinstance(value, dict))
    ]
    # The alternative that fits best says what is wrong.
    return min(tried, key=len, default=[f"{path}: {value!r} is no string"])


def _choices(annotation: Any) -> tuple[Any, ...]:
    literals = (one for one in _options(annotation) if get_origin(one) is Literal)
    return tuple(choice for one in literals for choice in get_args(one))


def _one_of(value: Any, choices: tuple[Any, ...], path: str) -> Findings:
    return [] if value in choices else [f"{path}: {value!r} is not among {len(choices)} values"]


def _against(value: Any, kind: Any, path: str, *, partial: bool) -> Findings:
    origin = get_origin(kind)
    if kind is Any or isinstance(kind, TypeVar):
        is_resource = isinstance(value, dict) and value.get("object") in OBJECT_CLASSES
        return _resource(value, None, path) if is_resource else []
    if kind is Decimal:
        return [] if _is_decimal(value) else [f"{path}: {value!r} instead of a decimal"]
    if kind in SCALARS:
        return [] if type(value) in SCALARS[kind] else [f"{path}: {value!r} is no {kind.__name__}"]
    if origin is Literal:
        return _one_of(value, get_args(kind), path)
    if isinstance(kind, ForwardRef | str):
        return _resource(value, getattr(kind, "__forward_arg__", kind), path)
    return list(_composite(value, kind, origin, path, partial=partial))


def _composite(value: Any, kind: Any, origin: Any, path: str, *, partial: bool) -> Iterator[str]:
    if origin is list:
        yield from _elements(value, get_args(kind)[0], path, partial=partial)
    elif origin is stripe.ListObject:
        yield from _list(value, get_args(kind)[0], path, partial=partial)
    elif origin in (UntypedStripeObject, dict):
        yield from _map(value, get_args(kind)[-1], path, partial=partial)
    else:
        yield from _structure(value, kind, path, partial=partial)


def _is_decimal(value: Any) -> bool:
    try:
        return isinstance(value, str) and Decimal(value).is_finite()
    except InvalidOperation:
        return False


def _elements(value: Any, kind: Any, path: str, *, partial: bool) -> Findings:
    if not isinstance(value, list):
        return [f"{path}: {value!r} instead of an array"]
    return [
        found
        for index, one in enumerate(value)
        for found in _value(one, kind, f"{path}[{index}]", partial=partial)
    ]


def _list(value: Any, kind: Any, path: str, *, partial: bool = False) -> Findings:
    if not isinstance(value, dict) or value.get("object", "list") != "list":
        return [f"{path}: {str(value)[:60]} instead of a list"]
    expected = {"object": str, "data": list[kind], "has_more": bool, "url": str}
    return [
        *(f"{path}.{name}: unknown" for name in sorted(value.keys() - expected.keys())),
        *(
            f"{path}.{name}: missing"
            for name in sorted(expected.keys() - value.keys())
            if not partial
        ),
        *(
            found
            for name in expected.keys() & value.keys()
            for found in _value(value[name], expected[name], f"{path}.{name}", partial=partial)
        ),
    ]


def _map(value: Any, kind: Any, path: str, *, partial: bool) -> Findings:
    if not isinstance(value, dict):
        return [f"{path}: {value!r} instead of a map"]
    if kind is Any and value.get("object") in OBJECT_CLASSES:
        return _resource(value, None, path)
    # A key that is new was null before.
    return [
        found
        for key, one in value.items()
        if not (partial and one is None)
        for found in _value(one, kind, f"{path}.{key}", partial=partial)
    ]
