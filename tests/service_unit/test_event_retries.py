"""An event that fails is tried again ever less often, and holds up no other."""

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY

from billing_service.event_log import EventLog
from billing_service.event_retries import LOOK_EVERY, EventRetries
from billing_service.verifier import Verifier
from subscription_state import apply, events, ingest
from subscription_state.events import FIRST_PAUSE, MOST_ATTEMPTS, EventState
from tests.builders import a_delivery, a_stripe_customer, a_stripe_event

pytestmark = pytest.mark.asyncio(loop_scope="session")

START = datetime(2026, 11, 2, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def poison(monkeypatch):
    """Ids of the events that cannot be applied; taken out, one is healed."""
    ids = {"evt_poison"}
    real = apply.apply

    def broken(work, event, received, *, ticket):
        if received.event_id in ids:
            raise KeyError("somebody@example.com")
        return real(work, event, received, ticket=ticket)

    monkeypatch.setattr(apply, "apply", broken)
    return ids


@pytest.fixture
def event_log(database, stripe, clock) -> EventLog:
    return EventLog(database, Verifier(database, stripe), now=clock)


@pytest.fixture
def retries(database, event_log, clock) -> EventRetries:
    return EventRetries(database, event_log, now=clock)


@pytest.fixture
def fails(database, clock):
    async def fail(event_id: str) -> None:
        held = a_stripe_customer(metadata={"account_id": "acct_1"})
        event = a_stripe_event("customer.updated", held, id=event_id)
        await ingest.store_failed(database, a_delivery(event, received=clock.now), "KeyError")

    return fail


@pytest.fixture
def known(database):
    async def get(event_id: str) -> events.StoredEvent:
        async with database.read() as connection:
            return await events.get(connection, event_id)

    return get


def _failed(parked: str) -> float:
    return REGISTRY.get_sample_value("paidup_failed_events", {"parked": parked})


async def test_an_event_that_failed_is_left_alone_for_a_minute(retries, clock, fails, known):
    await fails("evt_1")
    clock.now += FIRST_PAUSE - timedelta(seconds=1)

    await retries.run_if_due()

    assert (await known("evt_1")).state is EventState.FAILED
    assert (_failed("false"), _failed("true")) == (1, 0)


async def test_then_it_is_applied(retries, clock, fails, known):
    await fails("evt_1")
    clock.now += FIRST_PAUSE

    await retries.run_if_due()

    healed = await known("evt_1")
    assert (healed.state, healed.error) == (EventState.APPLIED, None)
    assert (_failed("false"), _failed("true")) == (0, 0)


async def test_it_looks_every_few_seconds_and_counts_whenever_it_tried(
    retries, clock, fails, known
):
    await fails("evt_1")
    clock.now += FIRST_PAUSE - timedelta(seconds=1)
    await retries.run_if_due()
    assert _failed("false") == 1

    clock.now += timedelta(seconds=1)
    await retries.run_if_due()
    assert (await known("evt_1")).state is EventState.FAILED, "it has just looked"
    clock.now += LOOK_EVERY
    await retries.run_if_due()

    assert (await known("evt_1")).state is EventState.APPLIED
    assert _failed("false") == 0


@pytest.mark.usefixtures("poison")
async def test_a_poison_event_holds_up_no_other(retries, clock, fails, known):
    await fails("evt_poison")
    clock.now += timedelta(seconds=1)
    await fails("evt_1")
    clock.now += FIRST_PAUSE

    await retries.run_if_due()

    assert (await known("evt_1")).state is EventState.APPLIED
    poisoned = await known("evt_poison")
    assert (poisoned.state, poisoned.error, poisoned.attempts) == (
        EventState.FAILED,
        "KeyError",
        1,
    )


@pytest.mark.usefixtures("poison")
async def test_pauses_double_until_it_is_parked(retries, clock, fails, known):
    await fails("evt_poison")
    tries = []
    while clock.now < START + timedelta(days=1):
        clock.now += timedelta(minutes=1)
        before = await known("evt_poison")
        await retries.run_if_due()
        if (await known("evt_poison")).attempts > before.attempts:
            tries.append((clock.now - START).total_seconds() / 60)
        if len(tries) == MOST_ATTEMPTS:
            break

    assert tries == [1, 3, 7, 15, 31, 63, 127, 255]
    assert (_failed("false"), _failed("true")) == (0, 1)


async def test_one_that_is_healed_is_applied_by_its_next_try(retries, clock, fails, known, poison):
    await fails("evt_poison")
    clock.now += FIRST_PAUSE
    await retries.run_if_due()
    poison.clear()

    clock.now += 2 * FIRST_PAUSE
    await retries.run_if_due()

    assert (await known("evt_poison")).state is EventState.APPLIED


async def test_a_parked_one_can_be_replayed(event_log, retries, clock, fails, poison):
    await fails("evt_poison")
    for _ in range(MOST_ATTEMPTS):
        clock.now += timedelta(days=1)
        await retries.run_if_due()

    failed = await event_log.replay("evt_poison")
    poison.clear()
    healed = await event_log.replay("evt_poison")

    assert (failed.state, failed.error) == (EventState.FAILED, "KeyError")
    assert (healed.state, healed.error) == (EventState.APPLIED, None)


@pytest.mark.usefixtures("poison")
async def test_a_faults_text_is_not_logged(retries, clock, fails, caplog):
    await fails("evt_poison")
    clock.now += FIRST_PAUSE

    await retries.run_if_due()

    (line,) = [each for each in caplog.records if each.msg == "event_failed_again"]
    assert (line.event_id, line.error) == ("evt_poison", "KeyError")
    assert "somebody" not in caplog.text
