"""Rule 1: an event is saved only where it is provably not older than what is stored."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscription_state.model import TERMINAL, Status, StoredSubscription
from subscription_state.rule_one import SubscriptionEvent, Verdict, follows, judge
from tests.builders import DAY, NOW, SECOND, a_stored_subscription, a_subscription, seconds

SAVE, SKIP, ASK = Verdict.SAVE, Verdict.SKIP, Verdict.ASK


def an_incoming(created: datetime = NOW, **previous: Any) -> SubscriptionEvent:
    return SubscriptionEvent(created=created, subscription=a_subscription(), previous=previous)


def stored_by_event(at: datetime = NOW, **overrides: Any) -> StoredSubscription:
    return a_stored_subscription(a_subscription(**overrides), event_time=at)


def stored_by_read(start: datetime, end: datetime, **overrides: Any) -> StoredSubscription:
    return a_stored_subscription(a_subscription(), as_of_start=start, as_of_end=end, **overrides)


def test_what_was_never_stored_is_saved() -> None:
    assert judge(None, an_incoming()) is SAVE


def test_what_neither_an_event_nor_a_read_stored_is_saved_over() -> None:
    assert judge(a_stored_subscription(), an_incoming()) is SAVE


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_terminal_stays_terminal_whatever_comes(status: Status) -> None:
    stored = stored_by_event(NOW - DAY, status=status)

    for later in (an_incoming(), an_incoming(NOW + DAY), an_incoming(NOW - DAY, status=status)):
        assert judge(stored, later) is SKIP


@pytest.mark.parametrize("status", sorted(set(Status) - TERMINAL))
def test_nothing_else_is_final(status: Status) -> None:
    assert judge(stored_by_event(NOW - DAY, status=status), an_incoming()) is SAVE


class TestBesideTheLastEvent:
    @pytest.mark.parametrize(("later", "verdict"), [(-1, SKIP), (0, ASK), (1, SAVE)])
    def test_only_a_later_second_is_saved(self, later: int, verdict: Verdict) -> None:
        assert judge(stored_by_event(), an_incoming(NOW + later * SECOND)) is verdict

    def test_the_same_second_is_saved_where_it_replaced_what_is_stored(self) -> None:
        stored = stored_by_event(status=Status.TRIALING)

        assert judge(stored, an_incoming(status="trialing")) is SAVE
        assert judge(stored, an_incoming(status="active")) is ASK

    def test_an_earlier_second_is_never_saved_not_even_where_it_seems_to_follow(self) -> None:
        stored = stored_by_event(status=Status.TRIALING)

        assert judge(stored, an_incoming(NOW - SECOND, status="trialing")) is SKIP


class TestBesideTheLastRead:
    STORED = stored_by_read(NOW - 2 * SECOND, NOW + 2 * SECOND)

    @pytest.mark.parametrize(
        ("later", "verdict"), [(-3, SKIP), (-2, SKIP), (-1, ASK), (0, ASK), (2, ASK), (3, SAVE)]
    )
    def test_before_it_is_skipped_within_it_is_asked_after_it_is_saved(
        self, later: int, verdict: Verdict
    ) -> None:
        assert judge(self.STORED, an_incoming(NOW + later * SECOND)) is verdict

    def test_within_it_a_change_that_seems_to_follow_is_still_asked(self) -> None:
        assert judge(self.STORED, an_incoming(status="active")) is ASK

    def test_after_it_an_event_still_stands_beside_the_last_event(self) -> None:
        stored = stored_by_read(NOW - 9 * SECOND, NOW - 8 * SECOND, event_time=NOW)

        assert judge(stored, an_incoming(NOW - SECOND)) is SKIP
        assert judge(stored, an_incoming(NOW)) is ASK
        assert judge(stored, an_incoming(NOW + SECOND)) is SAVE

    def test_a_read_decides_before_an_older_event_does(self) -> None:
        stored = stored_by_read(NOW - SECOND, NOW + SECOND, event_time=NOW - DAY)

        assert judge(stored, an_incoming(NOW)) is ASK


class TestFollows:
    STORED = a_subscription(
        status=Status.TRIALING, trial_end=NOW, cancel_time=NOW + DAY, end_time=None
    )

    def follows(self, previous: dict[str, Any], **became: Any) -> bool:
        """Tell it of a change that made of the stored one what it `became`."""
        event = SubscriptionEvent(
            created=NOW, subscription=replace(self.STORED, **became), previous=previous
        )
        return follows(self.STORED, event)

    @pytest.mark.parametrize(
        ("previous", "became"),
        [
            ({"status": "trialing"}, {"status": Status.ACTIVE}),
            ({"trial_end": seconds(NOW)}, {"trial_end": None}),
            ({"cancel_at": seconds(NOW + DAY)}, {"cancel_time": NOW}),
            (
                {"status": "trialing", "ended_at": None},
                {"status": Status.CANCELED, "end_time": NOW},
            ),
        ],
    )
    def test_a_change_that_replaced_what_is_stored_follows(
        self, previous: dict[str, Any], became: dict[str, Any]
    ) -> None:
        assert self.follows(previous, **became)

    @pytest.mark.parametrize(
        "previous",
        [
            {},
            {"status": "active"},
            {"status": None},
            {"trial_end": None},
            {"trial_end": seconds(NOW + DAY)},
            {"cancel_at": str(seconds(NOW + DAY))},
            {"ended_at": seconds(NOW)},
            {"status": "trialing", "cancel_at": None},
            {"items": {"data": []}},
            {"status": "trialing", "latest_invoice": "in_1"},
            {"status": "trialing", "metadata": {"a": "b"}},
        ],
        ids=str,
    )
    def test_a_change_that_proves_less_does_not(self, previous: dict[str, Any]) -> None:
        assert not self.follows(previous, status=Status.ACTIVE)

    def test_one_that_left_what_is_not_stored_does_not(self) -> None:
        """It scheduled an end while the trial went on, before what is stored came."""
        previous = {"cancel_at": seconds(NOW + DAY)}

        assert not self.follows(previous, cancel_time=NOW, status=Status.INCOMPLETE)

    def test_what_is_stored_as_unknown_is_followed_by_nothing(self) -> None:
        stored = a_subscription(status=Status.UNKNOWN)
        event = an_incoming(status="hibernating")

        assert not follows(stored, event)


times = st.integers(-3, 3).map(lambda n: NOW + n * SECOND)


@given(times, st.none() | times, st.none() | st.tuples(times, times).map(sorted))
def test_no_event_is_saved_that_the_stored_state_may_already_hold(
    created: datetime, event_time: datetime | None, read: list[datetime] | None
) -> None:
    start, end = read or (None, None)
    stored = a_stored_subscription(event_time=event_time, as_of_start=start, as_of_end=end)

    verdict = judge(stored, an_incoming(created))

    known_until = max((time for time in (event_time, end) if time is not None), default=None)
    is_newer = known_until is None or created > known_until
    assert (verdict is SAVE) == is_newer
