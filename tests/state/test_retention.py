"""Bodies and changes are dropped once they are old; ids and the newest change stay."""

import pytest

from subscription_state import events, ingest, retention
from subscription_state.events import Place
from subscription_state.ingest import Outcome
from subscription_state.tables import change, event
from tests.builders import DAY, NOW, SECOND, a_delivery, a_stripe_customer, a_stripe_event
from tests.state import steps


def _event(number: int):
    held = a_stripe_customer(id=f"cus_{number}", metadata={"account_id": f"acct_{number}"})
    return a_stripe_event("customer.updated", held, id=f"evt_{number}")


async def _deliver(database, *numbers: int, received=NOW):
    return await steps.deliver(database, *map(_event, numbers), received=received)


async def _with_bodies(database) -> set[str]:
    return {row.event_id for row in await steps.rows(database, event) if row.body is not None}


async def test_bodies_from_before_a_time_are_dropped_and_ids_stay(bound):
    await _deliver(bound, 1, received=NOW - SECOND)
    await _deliver(bound, 2)

    batch = await retention.drop_bodies(bound, before=NOW, after=None)

    assert batch == retention.Batch(dropped=1, next_after=None)
    assert await _with_bodies(bound) == {"evt_2"}
    assert await _deliver(bound, 1) == [Outcome.DUPLICATE]


async def test_batches_pass_over_everything_once(bound, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    # All at one time: only their ids part them.
    await _deliver(bound, 1, 2, 3, 4, 5)

    first = await retention.drop_bodies(bound, before=NOW + DAY, after=None)
    second = await retention.drop_bodies(bound, before=NOW + DAY, after=first.next_after)
    third = await retention.drop_bodies(bound, before=NOW + DAY, after=second.next_after)

    assert first.next_after == Place(receive_time=NOW, event_id="evt_2")
    assert [each.dropped for each in (first, second, third)] == [2, 2, 1]
    assert third.next_after is None
    assert await _with_bodies(bound) == set()


async def test_an_event_that_lost_its_body_is_not_tried_again(bound):
    await ingest.store_failed(bound, a_delivery(_event(1), received=NOW), "KeyError")

    await retention.drop_bodies(bound, before=NOW + DAY, after=None)

    async with bound.read() as connection:
        assert await events.due(connection, now=NOW + 99 * DAY, limit=9) == []


async def _drop_changes(database, before) -> int:
    return await database.write(lambda one: retention.drop_changes(one, before=before))


async def _changed(database) -> list[str]:
    return sorted(row.account_id for row in await steps.rows(database, change))


async def test_changes_from_before_a_time_are_dropped(bound):
    await _deliver(bound, 1, received=NOW - SECOND)
    await _deliver(bound, 2)
    await _deliver(bound, 3, received=NOW + SECOND)

    assert await _drop_changes(bound, NOW) == 1
    assert await _changed(bound) == ["acct_2", "acct_3"]


async def test_the_newest_change_stays_however_old_it_is(bound):
    await _deliver(bound, 1)
    await _deliver(bound, 2)

    assert await _drop_changes(bound, NOW + 99 * DAY) == 1
    assert await _drop_changes(bound, NOW + 99 * DAY) == 0
    assert await _changed(bound) == ["acct_2"]


async def test_no_more_changes_than_a_batch_are_dropped_at_once(bound, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    await _deliver(bound, 1, 2, 3, 4)

    assert [await _drop_changes(bound, NOW + DAY) for _ in range(3)] == [2, 1, 0]


@pytest.mark.usefixtures("bound")
async def test_where_there_is_nothing_nothing_is_dropped(database):
    assert (await retention.drop_bodies(database, before=NOW, after=None)).dropped == 0
    assert await _drop_changes(database, NOW) == 0
