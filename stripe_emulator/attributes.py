"""How parameters become an object's attributes: an empty string unsets, metadata is merged."""

from collections.abc import Iterable

from stripe_emulator.parameters import Params
from stripe_emulator.tables import StripeObject


def write(row: StripeObject, params: Params, names: Iterable[str]) -> None:
    for name in names:
        if name in params:
            row[name] = unset_if_empty(params[name])
    if "metadata" in params:
        row["metadata"] = merged(row.get("metadata") or {}, params["metadata"])


def unset_if_empty(value: object) -> object:
    """Give null for an empty string, within an object too."""
    if isinstance(value, dict):
        return {name: unset_if_empty(inner) for name, inner in value.items()}
    return None if value == "" else value


def merged(metadata: dict[str, str], changes: dict[str, str] | str) -> dict[str, str]:
    if isinstance(changes, str):
        return {}
    return {name: value for name, value in {**metadata, **changes}.items() if value != ""}


def picked(params: Params, *names: str) -> StripeObject:
    """Give these parameters as attributes, null where they were not given."""
    return {name: unset_if_empty(params.get(name)) for name in names}
