from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import orjson

from stripe_emulator.errors import ReferenceMissing, ResourceMissing

StripeObject = dict[str, Any]
Keep = Callable[[StripeObject], bool]


@runtime_checkable
class Outlasting(Protocol):
    """What a saved world's counterpart is read into, because others hold on to it."""

    def take_over(self, saved: Any) -> None: ...


class Table:
    """All objects of one kind, in order of creation, as the plain JSON that Stripe shows."""

    def __init__(self, label: str, owner: Callable[[StripeObject], str] | None = None) -> None:
        self.label = label
        self._rows: dict[str, StripeObject] = {}
        self._owner = owner
        self._owned: dict[str, list[StripeObject]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"_rows": self._rows, "_owned": self._owned}

    def take_over(self, saved: "Table") -> None:
        vars(self).update(vars(saved))

    def add(self, row: StripeObject) -> StripeObject:
        self._rows[row["id"]] = row
        if self._owner is not None:
            self._owned.setdefault(self._owner(row), []).append(row)
        return row

    def of(self, owner_id: str) -> list[StripeObject]:
        """List what belongs to one owner, oldest first, without a look at the rest."""
        return list(self._owned.get(owner_id, ()))

    def mark_deleted(self, row: StripeObject) -> StripeObject:
        """Leave of it what Stripe still shows."""
        stub = {"id": row["id"], "object": row["object"], "deleted": True}
        self._rows[row["id"]] = stub
        return stub

    def find(self, object_id: str | None) -> StripeObject | None:
        return self._rows.get(object_id) if object_id is not None else None

    def __getitem__(self, object_id: str) -> StripeObject:
        return self._rows[object_id]

    def retrieve(self, object_id: str) -> StripeObject:
        row = self._rows.get(object_id)
        if row is None:
            raise ResourceMissing(self.label, object_id)
        return row

    def existing(self, object_id: str) -> StripeObject:
        """Retrieve what may not have been deleted."""
        row = self.retrieve(object_id)
        if row.get("deleted"):
            raise ResourceMissing(self.label, object_id)
        return row

    def referenced(self, object_id: str, param: str) -> StripeObject:
        row = self._rows.get(object_id)
        if row is None or row.get("deleted"):
            raise ReferenceMissing(self.label, object_id, param)
        return row

    def remove(self, object_id: str) -> None:
        del self._rows[object_id]

    def where(self, **fields: object) -> list[StripeObject]:
        """List those with these values, oldest first; without any, all."""
        if not fields:
            return list(self._rows.values())
        return [
            row
            for row in self._rows.values()
            if all(row.get(name) == value for name, value in fields.items())
        ]


def snapshot(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value))


def deleted(row: StripeObject) -> StripeObject:
    return {"id": row["id"], "object": row["object"], "deleted": True}


def list_of(data: list[StripeObject], url: str, *, has_more: bool = False) -> StripeObject:
    return {"object": "list", "data": data, "has_more": has_more, "url": url}
