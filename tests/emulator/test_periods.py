from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stripe_emulator import periods

intervals = st.builds(
    lambda interval, count: {"interval": interval, "interval_count": count},
    st.sampled_from(["day", "week", "month", "year"]),
    st.integers(1, 3),
)
moments = st.integers(946_684_800, 4_102_444_800)


def _timestamp(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@given(anchor=moments, recurring=intervals, moment=moments)
def test_a_period_contains_its_moment(
    anchor: int, recurring: dict[str, object], moment: int
) -> None:
    period = periods.containing(anchor, recurring, moment)

    assert period.start <= moment < period.end


@given(anchor=moments, recurring=intervals, moment=moments)
def test_periods_meet(anchor: int, recurring: dict[str, object], moment: int) -> None:
    period = periods.containing(anchor, recurring, moment)

    assert periods.containing(anchor, recurring, period.end).start == period.end
    assert periods.containing(anchor, recurring, period.start - 1).end == period.start


@pytest.mark.parametrize(
    ("interval", "count", "starts"),
    [
        ("month", 1, ["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]),
        ("month", 3, ["2027-11-30", "2028-02-29", "2028-05-30"]),
        ("year", 1, ["2028-02-29", "2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]),
        ("week", 2, ["2027-01-01", "2027-01-15", "2027-01-29"]),
    ],
)
def test_the_anchor_day_returns_after_shorter_months(
    interval: str, count: int, starts: list[str]
) -> None:
    anchor = _timestamp(starts[0])
    recurring = {"interval": interval, "interval_count": count}

    for start, end in pairwise(starts):
        period = periods.containing(anchor, recurring, _timestamp(start))
        assert period == (_timestamp(start), _timestamp(end))
