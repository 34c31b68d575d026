"""A short soak: real processes, every fault at once, and in the end all is right."""

import asyncio

import pytest

from soak.chaos import CLOCK_MOVED, KILLED
from soak.run import Plan, Result, soak
from tests.leaks import assert_nothing_leaked

#: Short of it, nothing would have been tried.
AT_LEAST = {"purchase": 10, "end": 1, CLOCK_MOVED: 24, KILLED: 1}
INJECTED = ("duplicated", "dropped", "delayed", "reordered", "rate_limited", "failed")


def a_short_plan(**settings: str) -> Plan:
    return Plan(
        subscriptions=30,
        seconds=25,
        seed=7,
        action_pause=4,
        kill_pause=3,
        clock_pause=1,
        webhook_delay=3,
        patience=60,
        settings={
            "PAIDUP_SWEEP_INTERVAL_SECONDS": "5",
            "PAIDUP_STRIPE_CALLS_PER_SECOND": "50",
            **settings,
        },
        at_least=AT_LEAST,
    )


@pytest.fixture(scope="module")
def result() -> Result:
    return asyncio.run(soak(a_short_plan()))


@pytest.mark.timeout(240)
def test_every_decision_is_right_in_the_end(result):
    assert result.divergences == []
    assert result.differing == []


def test_no_acknowledged_event_is_lost(result):
    assert result.lost == []


def test_it_was_not_easy(result):
    assert {
        what: result.done[what] for what in AT_LEAST if result.done[what] < AT_LEAST[what]
    } == {}
    assert [fault for fault in INJECTED if not result.injected[fault]] == []
    assert result.differences


def test_nothing_leaks_on_the_way(result):
    assert_nothing_leaked(result)
