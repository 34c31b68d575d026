from datetime import timedelta

import pytest

from billing_service.breaker import Breaker
from billing_service.errors import StripeUnavailable


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return Breaker(failures=3, pause=5.0, monotonic=clock)


def _is_open(breaker) -> bool:
    try:
        breaker.admit()
    except StripeUnavailable:
        return True
    return False


def _open(breaker) -> None:
    for _ in range(3):
        breaker.failed()


def test_a_new_breaker_admits(breaker):
    assert not _is_open(breaker)


def test_fewer_failures_than_the_limit_leave_it_closed(breaker):
    breaker.failed()
    breaker.failed()

    assert not _is_open(breaker)


def test_failures_in_a_row_open_it(breaker):
    _open(breaker)

    assert _is_open(breaker)


def test_an_answer_in_between_begins_the_count_anew(breaker):
    breaker.failed()
    breaker.failed()
    breaker.succeeded()
    breaker.failed()

    assert not _is_open(breaker)


def test_an_open_one_says_how_long_it_stays_so(breaker, clock):
    _open(breaker)
    clock.now += 2

    with pytest.raises(StripeUnavailable) as refused:
        breaker.admit()

    assert refused.value.retry_delay == timedelta(seconds=3)


def test_after_the_pause_one_call_tries_and_the_others_wait_for_it(breaker, clock):
    _open(breaker)
    clock.now += 5

    assert not _is_open(breaker)
    assert _is_open(breaker)
    assert _is_open(breaker)


def test_a_try_that_is_answered_closes_it(breaker, clock):
    _open(breaker)
    clock.now += 5
    breaker.admit()
    breaker.succeeded()

    assert not _is_open(breaker)
    assert not _is_open(breaker)


def test_a_try_that_fails_opens_it_for_another_pause(breaker, clock):
    _open(breaker)
    clock.now += 5
    breaker.admit()
    clock.now += 1
    breaker.failed()
    clock.now += 4.9

    assert _is_open(breaker)
    clock.now += 0.2
    assert not _is_open(breaker)


def test_a_try_of_which_nothing_is_heard_does_not_leave_it_open(breaker, clock):
    _open(breaker)
    clock.now += 5
    breaker.admit()
    clock.now += 5

    assert not _is_open(breaker)
