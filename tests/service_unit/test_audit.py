"""A change and its entry are made together or not at all; who called is told as the call says."""

import asyncio
from datetime import timedelta

import pytest
import pytest_asyncio

from billing_service import current_call
from billing_service.audit import AuditLog, AuditRetention, Method, note
from billing_service.composition import compose
from billing_service.erasure import Erasure
from billing_service.event_log import EventLog
from billing_service.grants import Grants, Wish
from subscription_state import audit, deployment, events, grants, ingest
from subscription_state.audit import AuditFilter
from subscription_state.tables import event
from tests.builders import DAY, NOW, a_delivery, a_stripe_customer, a_stripe_event
from tests.service_unit.conftest import settings_for
from tests.state import steps

pytestmark = pytest.mark.asyncio(loop_scope="session")

WISH = Wish(account_id="acme", feature="reports", expire_time=None, note="a favour")


class NoRoom(Exception):
    """What stands for any fault while an entry is written."""


@pytest.fixture
def entries(database):
    async def listed(**wanted):
        page = await AuditLog(database).list_page(AuditFilter(**wanted), size=100, token="")
        return list(page.entries)

    return listed


@pytest.fixture
def no_room(monkeypatch):
    async def refuse(_connection, _entry):
        raise NoRoom

    return lambda: monkeypatch.setattr(audit, "add", refuse)


@pytest_asyncio.fixture(loop_scope="session")
async def stored(database):
    """Give a database with one event that failed, of the account `acme`."""
    held = a_stripe_customer(id="cus_1", metadata={"account_id": "acme"})
    delivery = a_delivery(a_stripe_event("customer.updated", held, id="evt_1"))
    await database.write(
        lambda connection: deployment.bind(connection, livemode=False, stripe_account_id="acct_x")
    )
    await ingest.store_failed(database, delivery, "KeyError")
    return database


async def test_an_entry_tells_who_called_and_under_which_id(database, entries):
    async def called():
        current_call.set_caller("spiffe://example.org/shop")
        current_call.set_request_id("request-1")
        granted = await Grants(database, now=lambda: NOW).create(WISH, creator="shop")
        return granted.grant.grant_id

    grant_id = await asyncio.create_task(called())

    (entry,) = await entries()
    assert (entry.caller, entry.request_id) == ("spiffe://example.org/shop", "request-1")
    assert (entry.method, entry.account_id) == ("CreateGrant", "acme")
    assert (entry.create_time, entry.facts) == (NOW, {"grant_id": grant_id})


async def test_no_grant_is_made_without_its_entry(database, no_room):
    no_room()

    with pytest.raises(NoRoom):
        await Grants(database).create(WISH, creator="shop")

    async with database.read() as connection:
        assert await grants.of_account(connection, "acme") == ()


async def test_no_grant_is_revoked_without_its_entry(database, no_room):
    granted = await Grants(database).create(WISH, creator="shop")
    no_room()

    with pytest.raises(NoRoom):
        await Grants(database).revoke(granted.grant.grant_id)

    async with database.read() as connection:
        (held,) = await grants.of_account(connection, "acme")
    assert held.revoke_time is None


async def test_nothing_is_erased_without_its_entry(stored, no_room):
    no_room()

    with pytest.raises(NoRoom):
        await Erasure(stored).erase("acme")

    assert [row.body is not None for row in await steps.rows(stored, event)] == [True]


async def test_no_event_is_replayed_without_its_entry(stored, no_room):
    no_room()

    with pytest.raises(NoRoom):
        await EventLog(stored, verifier=None).replay("evt_1")

    async with stored.read() as connection:
        known = await events.get(connection, "evt_1")
    assert (known.state, known.error, known.attempts) == ("failed", "KeyError", 0)


async def test_a_replay_is_noted_with_what_it_came_to(stored, entries):
    replayed = await EventLog(stored, verifier=None).replay("evt_1")

    (entry,) = await entries()
    assert entry.facts == {"event_id": "evt_1", "outcome": replayed.state.value}
    assert entry.account_id == "acme"


async def test_a_replay_that_fails_is_noted_too(stored, entries, monkeypatch):
    def broken(*_arguments, **_options):
        raise KeyError("poison")

    monkeypatch.setattr(ingest.apply, "apply", broken)

    await EventLog(stored, verifier=None).replay("evt_1")

    (entry,) = await entries()
    assert entry.facts == {"event_id": "evt_1", "outcome": "failed"}


async def test_what_the_service_tries_by_itself_is_nobodys_doing(stored, entries):
    async with stored.read() as connection:
        known = await events.get(connection, "evt_1")

    await EventLog(stored, verifier=None).apply_again(known)

    assert await entries() == []


async def _note(database, *, now):
    await database.write(
        lambda connection: note(connection, Method.CREATE_GRANT, "acme", now=now, grant_id="g")
    )


async def test_what_is_older_than_somebody_wants_is_dropped(database, entries):
    clock = NOW
    for days in (0, 5, 9):
        await _note(database, now=NOW + days * DAY)
    retention = AuditRetention(database, kept=5 * DAY, now=lambda: clock)

    await retention.run_if_due()
    before = len(await entries())
    clock = NOW + 11 * DAY
    await retention.run_if_due()

    assert before == 3
    assert [entry.create_time for entry in await entries()] == [NOW + 9 * DAY]


async def test_it_is_looked_at_now_and_then_only(database, entries):
    await _note(database, now=NOW - 6 * DAY)
    retention = AuditRetention(database, kept=5 * DAY, now=lambda: NOW)
    await retention.run_if_due()
    await _note(database, now=NOW - 6 * DAY)

    await retention.run_if_due()

    assert len(await entries()) == 1


async def test_many_old_ones_are_dropped_in_one_go(database, entries, monkeypatch):
    monkeypatch.setattr(audit, "BATCH", 2)
    for number in range(5):
        await _note(database, now=NOW - timedelta(seconds=number))

    await AuditRetention(database, kept=timedelta(0), now=lambda: NOW + DAY).run_if_due()

    assert await entries() == []


@pytest.mark.parametrize(("days", "dropped"), [(0, False), (400, True)])
async def test_entries_are_kept_for_ever_unless_somebody_says_otherwise(
    database_url, days, dropped
):
    settings = settings_for("http://127.0.0.1:1", database_url)
    parts = compose(settings.model_copy(update={"audit_retention_days": days}))
    try:
        assert ("audit_retention" in parts.background._recurring) is dropped
    finally:
        await parts.close()
