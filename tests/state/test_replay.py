"""A stored event is applied again as when it came, whatever became of it then."""

from dataclasses import replace

import pytest

from subscription_state import erasure, events, ingest, replay
from subscription_state.events import EventState
from subscription_state.model import Status
from subscription_state.tables import catalog_mirror, event
from tests.builders import (
    DAY,
    NOW,
    SECOND,
    a_delivery,
    a_stripe_event,
    a_stripe_subscription,
    a_subscription,
)
from tests.state import steps

LATER = NOW + DAY


async def _known(database, event_id="evt_1"):
    async with database.read() as connection:
        return await events.get(connection, event_id)


async def _replay(database, event_id="evt_1"):
    known = await _known(database, event_id)
    return await replay.apply_again(database, known, now=LATER)


def _created(**overrides):
    held = a_stripe_subscription(metadata={"account_id": "acct_1"})
    return a_stripe_event("customer.subscription.created", held, id="evt_1", **overrides)


async def test_an_event_that_failed_is_applied_once_its_fault_is_repaired(bound):
    await ingest.store_failed(bound, a_delivery(_created()), "KeyError")

    state = await _replay(bound)

    assert state is EventState.APPLIED
    known = await _known(bound)
    assert (known.state, known.error, known.deliveries) == (EventState.APPLIED, None, 1)
    assert (await steps.account(bound)).subscriptions[0].status is Status.ACTIVE


async def test_an_event_that_was_overtaken_is_skipped(bound):
    await ingest.store_failed(bound, a_delivery(_created()), "KeyError")
    canceled = a_subscription(status=Status.CANCELED, end_time=NOW + SECOND)
    await steps.verify(bound, canceled, account_id="acct_1", now=NOW + SECOND)

    state = await _replay(bound)

    assert state is EventState.SKIPPED
    assert await steps.subscription(bound) == canceled


async def test_what_follows_from_a_replay_happens_now(bound):
    await ingest.store_failed(bound, a_delivery(_created()), "KeyError")
    await steps.verify(bound)

    await _replay(bound)

    (touch,) = await steps.touched(bound)
    assert touch.touch_time == LATER
    assert (await _known(bound)).receive_time == NOW


async def test_a_fault_saves_nothing_and_is_noted(bound, monkeypatch):
    await steps.deliver(bound, _created())
    await steps.verify(bound, await steps.subscription(bound))
    known = await _known(bound)

    def broken(*_arguments, **_options):
        raise KeyError("poison")

    monkeypatch.setattr(ingest.apply, "apply", broken)
    with pytest.raises(KeyError):
        await _replay(bound)
    assert await _known(bound) == known

    await replay.note_failed(bound, known, "KeyError", now=LATER)

    noted = {"state": EventState.FAILED, "error": "KeyError", "attempts": 1}
    assert await _known(bound) == replace(known, **noted)
    assert await steps.is_urgent(bound)


async def test_instead_of_an_event_without_a_body_its_customer_is_read(bound):
    await steps.deliver(bound, _created())
    await steps.verify(bound, await steps.subscription(bound))
    await bound.write(lambda connection: erasure.erase_account(connection, "acct_1", bound.keyring))
    before = await _known(bound)

    state = await _replay(bound)

    assert state is None
    assert await steps.is_urgent(bound)
    assert await _known(bound) == before


async def test_instead_of_a_products_event_without_a_body_the_catalogue_is_read(bound):
    product = {"id": "prod_team", "object": "product"}
    await steps.deliver(bound, a_stripe_event("product.updated", product, id="evt_1"))
    await bound.write(lambda connection: connection.execute(event.update().values(body=None)))
    (before,) = await steps.rows(bound, catalog_mirror)

    state = await _replay(bound)

    (after,) = await steps.rows(bound, catalog_mirror)
    assert state is None
    assert after.wanted_ticket > before.wanted_ticket


async def _due(database, at):
    async with database.read() as connection:
        return [each.event_id for each in await events.due(connection, now=at, limit=9)]


async def test_an_event_that_failed_is_due_after_a_pause_until_it_is_settled(bound):
    await ingest.store_failed(bound, a_delivery(_created()), "KeyError")

    assert await _due(bound, NOW + events.FIRST_PAUSE - SECOND) == []
    assert await _due(bound, NOW + events.FIRST_PAUSE) == ["evt_1"]
    await _replay(bound)
    assert await _due(bound, LATER + 99 * DAY) == []


async def test_an_event_is_parked_after_its_last_try_until_stripe_delivers_it_again(bound):
    await ingest.store_failed(bound, a_delivery(_created()), "KeyError")
    for _ in range(events.MOST_ATTEMPTS):
        await replay.note_failed(bound, await _known(bound), "KeyError", now=LATER)

    assert await _due(bound, LATER + 99 * DAY) == []
    async with bound.read() as connection:
        assert await events.count_failed(connection) == events.Failed(waiting=0, parked=1)

    await ingest.store_failed(bound, a_delivery(_created()), "KeyError")
    assert await _due(bound, NOW + events.FIRST_PAUSE) == ["evt_1"]


async def test_an_event_that_was_erased_is_not_tried_again(bound):
    await ingest.store_failed(bound, a_delivery(_created()), "KeyError")
    await steps.verify(bound, account_id="acct_1")

    await bound.write(lambda connection: erasure.erase_account(connection, "acct_1", bound.keyring))

    assert await _due(bound, LATER + 99 * DAY) == []
