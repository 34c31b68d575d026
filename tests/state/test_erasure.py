"""Erasing takes the bodies of one account's events, and nothing else."""

from functools import partial

import pytest

from subscription_state import erasure, grants
from subscription_state.encryption import Key
from subscription_state.ingest import Outcome
from subscription_state.tables import event, grant
from tests.builders import a_grant, a_stripe_customer, a_stripe_event, a_stripe_subscription
from tests.state import steps


@pytest.fixture(params=["in the clear", "encrypted"])
def bound(bound, request):
    """Whether it can be read in the database or not, the same is erased."""
    if request.param == "encrypted":
        bound.keyring.replace([Key(bytes(32))])
    return bound


def _customer(number: int, account_id: str | None, *, customer_id: str | None = None):
    metadata = {} if account_id is None else {"account_id": account_id}
    held = a_stripe_customer(id=customer_id or f"cus_{number}", metadata=metadata)
    return a_stripe_event("customer.updated", held, id=f"evt_{number}")


async def _erase(database, account_id: str) -> int:
    erased = await database.write(
        lambda connection: erasure.erase_account(connection, account_id, database.keyring)
    )
    return erased.events


async def _with_bodies(database) -> set[str]:
    return {row.event_id for row in await steps.rows(database, event) if row.body is not None}


async def test_only_the_accounts_events_lose_their_bodies(bound):
    await steps.deliver(bound, _customer(1, "acct_1"), _customer(2, "acct_2"), _customer(3, None))

    assert await _erase(bound, "acct_1") == 1
    assert await _with_bodies(bound) == {"evt_2", "evt_3"}


async def test_to_erase_again_erases_nothing(bound):
    await steps.deliver(bound, _customer(1, "acct_1"))
    await _erase(bound, "acct_1")

    assert await _erase(bound, "acct_1") == 0


async def test_a_repeated_delivery_of_an_erased_event_is_a_duplicate_and_stays_erased(bound):
    await steps.deliver(bound, _customer(1, "acct_1"))
    await _erase(bound, "acct_1")

    outcomes = await steps.deliver(bound, _customer(1, "acct_1"))

    assert outcomes == [Outcome.DUPLICATE]
    assert await _with_bodies(bound) == set()


async def test_decisions_stay(bound):
    held = a_stripe_subscription(metadata={"account_id": "acct_1"})
    await steps.deliver(bound, a_stripe_event("customer.subscription.created", held))
    before = await steps.account(bound)

    await _erase(bound, "acct_1")

    assert await steps.account(bound) == before
    assert before.subscriptions


async def test_events_of_a_customer_that_was_deleted_and_replaced_are_erased(bound):
    gone = a_stripe_event("customer.deleted", a_stripe_customer(id="cus_1"), id="evt_9")
    unnamed = _customer(3, None, customer_id="cus_1")
    await steps.deliver(bound, _customer(1, "acct_1"), unnamed, gone)
    await steps.deliver(bound, _customer(2, "acct_1"))
    assert (await steps.customer(bound, "cus_1")).account_id is None

    assert await _erase(bound, "acct_1") == 4
    assert await _with_bodies(bound) == set()


@pytest.mark.parametrize("account_id", ["acct", "acct_%", "ACCT_1", "cct_1"])
async def test_an_account_whose_name_is_a_part_of_anothers_erases_nothing(bound, account_id):
    await steps.deliver(bound, _customer(1, "acct_1"), _customer(2, "acct_1"))

    assert await _erase(bound, account_id) == 0


async def test_an_account_named_in_any_letters_is_found(bound):
    await steps.deliver(bound, _customer(1, 'Zoë "Z"'), _customer(2, 'Zoë "Z"'))
    assert (await steps.customer(bound, "cus_2")).account_id is None

    assert await _erase(bound, 'Zoë "Z"') == 2


async def test_notes_of_grants_are_erased_and_the_grants_stay(bound):
    for account_id in ("acct_1", "acct_2"):
        given = a_grant(grant_id=account_id, account_id=account_id, note="for Ada Lovelace")
        await bound.write(partial(grants.create, given=given))

    await _erase(bound, "acct_1")

    notes = {row.grant_id: row.note for row in await steps.rows(bound, grant)}
    assert notes == {"acct_1": "", "acct_2": "for Ada Lovelace"}


async def test_more_bodies_than_are_held_at_a_time_are_looked_through(bound, monkeypatch):
    monkeypatch.setattr(erasure, "BATCH", 2)
    await steps.deliver(bound, *(_customer(number, "acct_1") for number in range(1, 8)))

    assert await _erase(bound, "acct_1") == 7


async def test_a_body_that_cannot_be_opened_is_told_of_and_stays(bound):
    await steps.deliver(bound, _customer(1, "acct_1"))
    bound.keyring.replace([Key(b"k" * 32)])
    await steps.deliver(bound, _customer(2, "acct_1"))
    bound.keyring.replace([])

    erased = await bound.write(
        lambda connection: erasure.erase_account(connection, "acct_1", bound.keyring)
    )

    assert (erased.events, erased.unreadable) == (1, 1)
    assert await _with_bodies(bound) == {"evt_2"}
