"""Grants are changes of their account, once each, and are never deleted."""

from functools import partial

from subscription_state import grants
from subscription_state.model import Grant
from subscription_state.tables import change, grant
from tests.builders import DAY, NOW, a_grant
from tests.state import steps


async def _create(database, given: Grant) -> Grant:
    return await database.write(partial(grants.create, given=given))


async def _revoke(database, grant_id: str = "grant_1", *, now=NOW) -> Grant | None:
    return await database.write(partial(grants.revoke, grant_id=grant_id, now=now))


async def _changed(database) -> list[str]:
    return [row.account_id for row in await steps.rows(database, change)]


async def test_a_grant_is_a_change_of_its_account(bound):
    given = a_grant(expire_time=NOW + DAY)

    assert await _create(bound, given) == given
    assert (await steps.account(bound)).grants == (given,)
    assert await _changed(bound) == ["acct_1"]


async def test_one_that_is_there_already_is_given_as_it_is(bound):
    first = await _create(bound, a_grant())

    again = await _create(bound, a_grant(note="another"))

    assert again == first
    assert len(await steps.rows(bound, grant)) == 1
    assert await _changed(bound) == ["acct_1"]


async def test_a_revoked_grant_keeps_everything_but_its_hold(bound):
    given = await _create(bound, a_grant())

    revoked = await _revoke(bound)

    assert revoked == a_grant(revoke_time=NOW)
    assert (await steps.account(bound)).grants == (revoked,)
    assert revoked != given
    assert await _changed(bound) == ["acct_1", "acct_1"]


async def test_one_that_has_ended_stays_as_it_is(bound):
    await _create(bound, a_grant(expire_time=NOW))
    await _create(bound, a_grant(grant_id="grant_2", revoke_time=NOW - DAY))
    before = await _changed(bound)

    assert await _revoke(bound) == a_grant(expire_time=NOW)
    assert await _revoke(bound, "grant_2") == a_grant(grant_id="grant_2", revoke_time=NOW - DAY)
    assert await _changed(bound) == before


async def test_what_was_never_given_cannot_be_taken_back(bound):
    assert await _revoke(bound, "grant_none") is None
    assert await _changed(bound) == []


async def test_an_account_has_its_own_newest_first(bound):
    for grant_id, days in (("grant_1", 3), ("grant_2", 1), ("grant_3", 2)):
        await _create(bound, a_grant(grant_id=grant_id, create_time=NOW - days * DAY))
    await _create(bound, a_grant(grant_id="grant_4", account_id="acct_2"))

    async with bound.read() as connection:
        found = await grants.of_account(connection, "acct_1")

    assert [each.grant_id for each in found] == ["grant_2", "grant_3", "grant_1"]
