"""
Expanding ids to the objects they name.

Which fields can be expanded the SDK's own resource types say: those annotated as
"a string or an object". Its map of them is private, and the SDK pinned.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, ForwardRef, Union, get_args, get_origin

from stripe._object_classes import OBJECT_CLASSES

from stripe_emulator import checkout, invoice_endpoints
from stripe_emulator.errors import InvalidRequest
from stripe_emulator.tables import StripeObject, list_of, snapshot
from stripe_emulator.world import World

DEEPEST = 4

#: Fields that appear only on request, by the object's type and the field's name.
INCLUDABLE: dict[tuple[str, str], Callable[[World, StripeObject], Any]] = {
    ("checkout.session", "line_items"): checkout.line_items_of,
    ("customer", "subscriptions"): lambda world, customer: list_of(
        [row for row in world.subscriptions.of(customer["id"]) if row["status"] != "canceled"],
        f"/v1/customers/{customer['id']}/subscriptions",
    ),
    ("invoice", "confirmation_secret"): invoice_endpoints.confirmation_secret_of,
    ("invoice", "payments"): invoice_endpoints.payments_of,
    ("price", "currency_options"): lambda _world, _price: {},
    ("price", "tiers"): lambda _world, _price: None,
}


def expand(world: World, answer: StripeObject, paths: list[str]) -> StripeObject:
    if not paths:
        return answer
    answer = snapshot(answer)
    for path in paths:
        segments = path.split(".")
        if len(segments) > DEEPEST:
            raise InvalidRequest(
                f"You cannot expand more than {DEEPEST} levels of a property. Property: {path}",
                param="expand",
            )
        _Expansion(world, path).walk(answer, None, segments)
    return answer


class _Expansion:
    def __init__(self, world: World, path: str) -> None:
        self._world = world
        self._path = path

    def walk(self, node: Any, annotated: type | None, segments: list[str]) -> None:
        if isinstance(node, list):
            for element in node:
                self.walk(element, annotated, segments)
        elif isinstance(node, dict) and node.get("object") == "list":
            self._enter_list(node, segments)
        elif isinstance(node, dict) and not node.get("deleted"):
            self._enter(node, _class_of(node.get("object")) or annotated, segments)

    def _enter_list(self, node: StripeObject, segments: list[str]) -> None:
        if segments[0] != "data":
            raise self._impossible(f" You may want to try expanding 'data.{self._path}' instead.")
        if len(segments) > 1:
            self.walk(node["data"], None, segments[1:])

    def _enter(self, node: StripeObject, kind: type | None, segments: list[str]) -> None:
        name, rest = segments[0], segments[1:]
        annotation = _annotations(kind).get(name)
        if annotation is None:
            raise self._impossible()
        include = INCLUDABLE.get((str(node.get("object")), name))
        if include is not None:
            if name not in node:
                node[name] = snapshot(include(self._world, node))
        elif _is_expandable(annotation):
            node[name] = self._resolved(node.get(name))
        elif not rest:
            raise self._impossible()
        if rest:
            self.walk(node.get(name), _class_in(annotation), rest)

    def _resolved(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._resolved(element) for element in value]
        if not isinstance(value, str):
            return value
        return snapshot(self._world.find(value)) or value

    def _impossible(self, hint: str = "") -> InvalidRequest:
        return InvalidRequest(
            f"This property cannot be expanded ({self._path}).{hint}", param="expand"
        )


@cache
def _class_of(object_name: str | None) -> type | None:
    if object_name not in OBJECT_CLASSES:
        return None
    module, name = OBJECT_CLASSES[object_name]
    found: type = getattr(import_module(module), name)
    return found


@cache
def _annotations(kind: type | None) -> dict[str, Any]:
    return {} if kind is None else dict(kind.__annotations__)


def _is_expandable(annotation: Any) -> bool:
    if get_origin(annotation) is list:
        return _is_expandable(get_args(annotation)[0])
    if get_origin(annotation) is not Union:
        return False
    options = [option for option in get_args(annotation) if option is not type(None)]
    return (str in options and any(isinstance(option, ForwardRef) for option in options)) or any(
        get_origin(option) is list and _is_expandable(option) for option in options
    )


def _class_in(annotation: Any) -> type | None:
    """Find the nested class that describes a part without an object type of its own."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation
    options = (_class_in(option) for option in get_args(annotation))
    return next((option for option in options if option not in (None, type(None), str)), None)
