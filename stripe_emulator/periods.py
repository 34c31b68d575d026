"""Billing periods: calendar arithmetic from an anchor, so that the 31st returns after February."""

import calendar
from datetime import UTC, datetime
from typing import NamedTuple

from stripe_emulator.tables import StripeObject

MONTHS = {"month": 1, "year": 12}
SECONDS = {"day": 24 * 60 * 60, "week": 7 * 24 * 60 * 60}


class Period(NamedTuple):
    start: int
    end: int

    def remaining(self, moment: int) -> float:
        """Give the share of the period that is still ahead."""
        return (self.end - moment) / (self.end - self.start)


def containing(anchor: int, recurring: StripeObject, moment: int) -> Period:
    """Give the period around `moment` of a price whose periods meet at `anchor`."""
    index = _estimate(anchor, recurring, moment)
    while _boundary(anchor, recurring, index) > moment:
        index -= 1
    while _boundary(anchor, recurring, index + 1) <= moment:
        index += 1
    return Period(
        _boundary(anchor, recurring, index),
        _boundary(anchor, recurring, index + 1),
    )


def _boundary(anchor: int, recurring: StripeObject, index: int) -> int:
    steps = index * int(recurring["interval_count"])
    if recurring["interval"] in SECONDS:
        return anchor + steps * SECONDS[recurring["interval"]]
    return _months_later(anchor, steps * MONTHS[recurring["interval"]])


def _months_later(anchor: int, months: int) -> int:
    moment = datetime.fromtimestamp(anchor, UTC)
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return int(moment.replace(year=year, month=month + 1, day=day).timestamp())


def _estimate(anchor: int, recurring: StripeObject, moment: int) -> int:
    interval = recurring["interval"]
    longest = SECONDS.get(interval) or MONTHS[interval] * 31 * SECONDS["day"]
    return (moment - anchor) // (longest * int(recurring["interval_count"]))
