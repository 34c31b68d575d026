"""What Stripe listed, and when that was in Stripe's clock."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """Objects that Stripe listed, and when that was in Stripe's clock."""

    objects: tuple[dict[str, Any], ...]
    #: The read happened between these.
    start: datetime
    end: datetime


async def timed(call: Callable[[Any], Awaitable[T]], params: Any) -> tuple[T, float]:
    """Make the call when it is awaited, and tell how long it took, without any wait before."""
    began = time.monotonic()
    answer = await call(params)
    return answer, time.monotonic() - began


def reading(objects: tuple[dict[str, Any], ...], listed: Any, *, elapsed: float) -> Reading:
    """Bound when Stripe read, by its own clock: `Date` has whole seconds and is set last."""
    stamp = _date(listed)
    return Reading(
        objects=objects,
        start=stamp - timedelta(seconds=elapsed + 1),
        end=stamp + timedelta(seconds=1),
    )


def date_of(headers: Mapping[str, str]) -> datetime | None:
    """Read an answer's `Date`, in whole seconds; None where it has none."""
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        return parsedate_to_datetime(lower["date"]).astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        return None


def _date(listed: Any) -> datetime:
    response = listed.last_response
    return date_of(response.headers if response else {}) or datetime.now(UTC)
