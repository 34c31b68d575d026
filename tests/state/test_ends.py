"""Ends that the clock brings: their customers are read, whether or not an event comes."""

from datetime import datetime
from typing import Any

import pytest

from subscription_state import ends
from subscription_state.database import Database
from subscription_state.model import Status
from tests.builders import DAY, NOW, SECOND, a_subscription
from tests.state.steps import is_urgent, touched, verify

TRIAL = {"status": Status.TRIALING, "trial_end": NOW}


async def touch_ended(database: Database, now: datetime = NOW) -> int:
    return await database.write(lambda connection: ends.touch_ended(connection, now))


@pytest.mark.parametrize(
    "ending", [TRIAL, {"cancel_time": NOW}, {"status": Status.PAST_DUE, "cancel_time": NOW}]
)
async def test_its_customer_is_touched_urgently_to_the_second(
    database: Database, ending: dict[str, Any]
) -> None:
    await verify(database, a_subscription(**ending), now=NOW - DAY)

    assert await touch_ended(database, NOW - SECOND) == 0
    assert await touch_ended(database, NOW) == 1
    assert await is_urgent(database)


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"trial_end": NOW},
        {"status": Status.CANCELED, "cancel_time": NOW},
        {"status": Status.INCOMPLETE_EXPIRED, "trial_end": NOW},
    ],
)
async def test_nothing_else_ends_by_the_clock(database: Database, other: dict[str, Any]) -> None:
    await verify(database, a_subscription(**other), now=NOW - DAY)

    assert await touch_ended(database, NOW + DAY) == 0
    assert await touched(database) == []


async def test_an_end_that_a_read_has_seen_is_not_touched_again(database: Database) -> None:
    await verify(database, a_subscription(**TRIAL), now=NOW)

    assert await touch_ended(database, NOW + DAY) == 0


async def test_a_customer_with_several_ends_is_touched_once(database: Database) -> None:
    both = [a_subscription(subscription_id=f"sub_{n}", **TRIAL) for n in (1, 2)]
    await verify(database, *both, now=NOW - DAY)

    assert await touch_ended(database) == 1
    assert len(await touched(database)) == 1
