"""Sealing anew: everything that can be opened, nothing that was erased meanwhile."""

import pytest
from sqlalchemy import update

from subscription_state import reencryption
from subscription_state.encryption import Key
from subscription_state.tables import event
from tests.builders import a_stripe_customer, a_stripe_event
from tests.state import steps

OLD, NEW, LOST = Key(b"o" * 32), Key(b"n" * 32), Key(b"l" * 32)


def _events(*numbers):
    return [
        a_stripe_event("customer.updated", a_stripe_customer(id=f"cus_{n}"), id=f"evt_{n}")
        for n in numbers
    ]


async def _rewrite_all(database):
    rewritten, left, after = 0, {}, ""
    while after is not None:
        batch = await reencryption.rewrite(database, after=after)
        rewritten, left, after = rewritten + batch.rewritten, left | batch.left, batch.next_after
    return rewritten, left


async def _count(database):
    async with database.read() as connection:
        return dict(await reencryption.count_bodies(connection))


async def _opened(database):
    rows = await steps.rows(database, event)
    return {row.event_id: database.keyring.open(row.event_id, row.body) for row in rows}


@pytest.fixture
async def mixed(bound):
    """Give three bodies in the clear and two under the old key, and the new key first."""
    await steps.deliver(bound, *_events(1, 2, 3))
    bound.keyring.replace([OLD])
    await steps.deliver(bound, *_events(4, 5))
    bound.keyring.replace([NEW, OLD])
    return bound


async def test_all_is_sealed_with_the_first_key(mixed, monkeypatch):
    monkeypatch.setattr(reencryption, "BATCH", 2)
    before = await _opened(mixed)

    assert await _rewrite_all(mixed) == (5, {})
    assert await _count(mixed) == {NEW.key_id: 5}
    mixed.keyring.replace([NEW])
    assert await _opened(mixed) == before


async def test_to_repeat_it_rewrites_nothing(mixed):
    await _rewrite_all(mixed)

    assert await _rewrite_all(mixed) == (0, {})


async def test_interrupted_it_goes_on(mixed, monkeypatch):
    monkeypatch.setattr(reencryption, "BATCH", 2)
    await reencryption.rewrite(mixed, after="")

    assert await _rewrite_all(mixed) == (3, {})


async def test_what_cannot_be_opened_is_left_and_told(mixed):
    mixed.keyring.replace([LOST])
    await steps.deliver(mixed, *_events(6))
    mixed.keyring.replace([NEW, OLD])

    assert await _rewrite_all(mixed) == (5, {"evt_6": "EncryptionKeyMissing"})
    assert await _count(mixed) == {NEW.key_id: 5, LOST.key_id: 1}


async def test_a_body_that_is_erased_meanwhile_does_not_come_back(mixed, monkeypatch):
    replace = reencryption._replace

    async def erased_first(connection, rows):
        erasing = update(event).where(event.c.event_id == "evt_4").values(body=None)
        await connection.execute(erasing)
        return await replace(connection, rows)

    monkeypatch.setattr(reencryption, "_replace", erased_first)

    assert await _rewrite_all(mixed) == (4, {})
    assert (await _bodies(mixed))["evt_4"] is None


async def _bodies(database):
    return {row.event_id: row.body for row in await steps.rows(database, event)}


async def test_erased_bodies_are_no_bodies(mixed):
    erasing = update(event).where(event.c.event_id.in_(["evt_1", "evt_4"])).values(body=None)
    await mixed.write(lambda connection: connection.execute(erasing))

    assert await _count(mixed) == {reencryption.IN_THE_CLEAR: 2, OLD.key_id: 1}
