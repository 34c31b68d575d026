"""Bodies are sealed on the way in and opened on the way out, on both databases."""

import re
from pathlib import Path

import pytest
from sqlalchemy import update

from subscription_state import events, ingest, replay
from subscription_state.encryption import Key, is_sealed
from subscription_state.errors import BodyDamaged, EncryptionKeyMissing
from subscription_state.events import EventState
from subscription_state.ingest import Outcome
from subscription_state.tables import event
from tests.builders import DAY, NOW, a_delivery, a_stripe_customer, a_stripe_event
from tests.state import steps

EMAIL = "jenny@example.com"
KEY, OTHER = Key(b"k" * 32), Key(b"o" * 32)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def sealing(bound):
    bound.keyring.replace([KEY])
    return bound


def _event(number=1):
    return a_stripe_event(
        "customer.updated",
        a_stripe_customer(id=f"cus_{number}", email=EMAIL),
        id=f"evt_{number}",
    )


async def _bodies(database):
    return {row.event_id: row.body for row in await steps.rows(database, event)}


async def _replay(database, event_id="evt_1"):
    async with database.read() as connection:
        known = await events.get(connection, event_id)
    return await replay.apply_again(database, known, now=NOW + DAY)


async def test_the_builders_event_holds_an_address(bound):
    await steps.deliver(bound, _event())

    assert EMAIL.encode() in (await _bodies(bound))["evt_1"]


async def test_no_body_is_stored_in_the_clear(sealing):
    await steps.deliver(sealing, _event(1), _event(2))
    await ingest.store_failed(sealing, a_delivery(_event(3)), "KeyError")

    bodies = await _bodies(sealing)

    assert len(bodies) == 3
    assert all(is_sealed(body) and EMAIL.encode() not in body for body in bodies.values())


async def test_a_sealed_body_is_replayed_as_it_came(sealing):
    await ingest.store_failed(sealing, a_delivery(_event()), "KeyError")

    assert await _replay(sealing) in (EventState.APPLIED, EventState.SKIPPED)


async def test_a_repeated_delivery_of_a_sealed_event_is_a_duplicate(sealing):
    await steps.deliver(sealing, _event())

    assert await steps.deliver(sealing, _event()) == [Outcome.DUPLICATE]


async def test_what_was_stored_in_the_clear_is_replayed_under_a_key(bound):
    await ingest.store_failed(bound, a_delivery(_event()), "KeyError")
    bound.keyring.replace([KEY])

    assert await _replay(bound) in (EventState.APPLIED, EventState.SKIPPED)


@pytest.mark.parametrize("keys", [[], [OTHER]])
async def test_a_body_whose_key_is_gone_is_told_as_such_and_stays(sealing, keys):
    await steps.deliver(sealing, _event())
    before = await _bodies(sealing)
    sealing.keyring.replace(keys)

    with pytest.raises(EncryptionKeyMissing):
        await _replay(sealing)

    assert await _bodies(sealing) == before


async def test_a_body_of_another_event_is_not_applied(sealing):
    await steps.deliver(sealing, _event(1), _event(2))
    stolen = (await _bodies(sealing))["evt_2"]
    moving = update(event).where(event.c.event_id == "evt_1").values(body=stolen)
    await sealing.write(lambda connection: connection.execute(moving))

    with pytest.raises(BodyDamaged):
        await _replay(sealing)


def test_processes_open_the_database_with_their_keys():
    """Whoever opened it without would store in the clear what must not be."""
    opened = {
        path.name
        for package in ("billing_service", "webhook_gateway", "subscription_state")
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"\bDatabase\.at\(", path.read_text())
    }

    assert opened == {"opening.py"}
