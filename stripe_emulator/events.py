from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from stripe_emulator import ids
from stripe_emulator.clock import Clock
from stripe_emulator.tables import StripeObject, Table, snapshot

API_VERSION = "2026-10-28.endive"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cause:
    """The API request that an event came from; both are null for what happened by itself."""

    request_id: str | None = None
    idempotency_key: str | None = None


BY_ITSELF = Cause()


class EventLog:
    def __init__(self, clock: Clock, publish: Callable[[StripeObject], None]) -> None:
        self.table = Table("event")
        self._clock = clock
        self._publish = publish
        self._cause = BY_ITSELF

    def __getstate__(self) -> dict[str, Any]:
        return {"table": self.table}

    def take_over(self, saved: "EventLog") -> None:
        self.table.take_over(saved.table)

    @contextmanager
    def caused_by(self, cause: Cause) -> Iterator[None]:
        outer, self._cause = self._cause, cause
        try:
            yield
        finally:
            self._cause = outer

    def emit(
        self,
        event_type: str,
        subject: StripeObject,
        previous: StripeObject | None = None,
    ) -> None:
        data = {"object": subject}
        if previous is not None:
            data["previous_attributes"] = previous
        # Encoded at once, which freezes it; copied, since orjson's buffer has room to spare.
        frozen = orjson.Fragment(bytes(memoryview(orjson.dumps(data))))
        self._publish(self.table.add(self._event(event_type, frozen)))

    @contextmanager
    def updating(self, event_type: str, subject: StripeObject) -> Iterator[None]:
        """Emit `event_type` for what changes inside the block, if anything does."""
        before = snapshot(subject)
        yield
        self.emit_change(event_type, before, subject)

    def emit_change(self, event_type: str, before: StripeObject, subject: StripeObject) -> None:
        previous = difference(before, snapshot(subject))
        if previous:
            self.emit(event_type, subject, previous)

    def _event(self, event_type: str, data: orjson.Fragment) -> StripeObject:
        return {
            "id": ids.new("evt"),
            "object": "event",
            "api_version": API_VERSION,
            "created": self._clock.now(),
            "data": data,
            "livemode": False,
            "pending_webhooks": 0,
            "request": {
                "id": self._cause.request_id,
                "idempotency_key": self._cause.idempotency_key,
            },
            "type": event_type,
        }


def difference(before: StripeObject, after: StripeObject) -> StripeObject:
    """
    Give the old values of what changed, as `previous_attributes` does.

    Objects are compared field by field; arrays are given whole.
    """
    return {
        name: _old(before.get(name), after.get(name))
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    }


def _old(before: Any, after: Any) -> Any:
    if isinstance(before, dict) and isinstance(after, dict):
        return difference(before, after)
    return before
