"""Every few minutes what is old is dropped, in batches, and said so."""

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import select

from billing_service.retention import CHANGES_KEPT, EVERY, Retention
from subscription_state import deployment, ingest
from subscription_state import retention as store
from subscription_state.tables import change, event
from tests.builders import a_delivery, a_stripe_customer, a_stripe_event

pytestmark = pytest.mark.asyncio(loop_scope="session")

START = datetime(2026, 11, 2, 12, tzinfo=UTC)
KEPT = timedelta(days=30)


@pytest.fixture
def clock() -> list[datetime]:
    return [START]


@pytest.fixture
def kept(database, clock) -> Retention:
    return Retention(database, bodies_kept=KEPT, now=lambda: clock[0])


async def _deliver(database, count: int) -> None:
    await database.write(lambda connection: deployment.bind(connection, livemode=False))
    for number in range(count):
        held = a_stripe_customer(id=f"cus_{number}", metadata={"account_id": f"acct_{number}"})
        sent = a_stripe_event("customer.updated", held, id=f"evt_{number}")
        await ingest.ingest(database, [a_delivery(sent, received=START)])


async def _left(database) -> tuple[int, int]:
    async with database.read() as connection:
        bodies = await connection.execute(select(event.c.event_id).where(event.c.body.is_not(None)))
        changes = await connection.execute(select(change.c.revision))
        return len(bodies.all()), len(changes.all())


async def test_each_is_kept_for_its_time(database, kept, clock):
    await _deliver(database, 3)

    for age, left in (
        (CHANGES_KEPT, (3, 3)),
        (CHANGES_KEPT + EVERY, (3, 1)),
        (KEPT, (3, 1)),
        (KEPT + EVERY, (0, 1)),
    ):
        clock[0] = START + age
        await kept.run_if_due()
        assert await _left(database) == left


async def test_it_goes_on_in_batches_until_nothing_old_is_left(database, kept, clock, monkeypatch):
    monkeypatch.setattr(store, "BATCH", 2)
    await _deliver(database, 5)
    clock[0] = START + KEPT + EVERY

    await kept.run_if_due()

    assert await _left(database) == (0, 1)


async def test_between_two_runs_nothing_is_looked_for(database, kept, clock):
    await kept.run_if_due()
    await _deliver(database, 1)
    clock[0] += EVERY - timedelta(seconds=1)
    before = REGISTRY.get_sample_value("paidup_last_retention_timestamp_seconds")

    await kept.run_if_due()

    assert before == START.timestamp()
    assert REGISTRY.get_sample_value("paidup_last_retention_timestamp_seconds") == before


async def test_a_run_that_found_nothing_says_so(kept, caplog):
    caplog.set_level("INFO")

    await kept.run_if_due()

    (line,) = [each for each in caplog.records if each.msg == "retention_applied"]
    assert (line.bodies, line.changes) == (0, 0)
    dropped = {"what": "bodies"}
    assert REGISTRY.get_sample_value("paidup_retention_dropped_total", dropped) is not None
