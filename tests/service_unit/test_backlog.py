"""Who waits is verified in order; who cannot be verified is given up in plain sight."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from prometheus_client import REGISTRY

from billing_service import background, backlog
from billing_service.account_refresh import AccountRefresh
from billing_service.background import Background
from billing_service.backlog import MOST_OUTAGES, MOST_TRIES, attempts_after
from billing_service.errors import StripeMisconfigured, StripeUnavailable
from billing_service.mirror import Mirror
from billing_service.stripe_errors import StripeRefused
from billing_service.verifier import Verifier
from subscription_state import customers, touches
from subscription_state.errors import StateUnavailable, UnexpectedShape
from subscription_state.touches import Changed, Touch
from tests.builders import NOW
from tests.service_unit.scripted_stripe import Answer, listed, refused
from tests.service_unit.watched import Watched

pytestmark = pytest.mark.asyncio(loop_scope="session")

SUBSCRIPTIONS = "/v1/subscriptions"


@pytest.fixture
def working(database, stripe, monkeypatch):
    monkeypatch.setattr(background, "POLL", 0.001)
    monkeypatch.setattr(background, "LOOK_EVERY", 0.0)
    monkeypatch.setattr(background, "CHORES_EVERY", timedelta(milliseconds=20))
    monkeypatch.setattr(background, "pause_after", lambda _attempts: timedelta(milliseconds=1))

    @asynccontextmanager
    async def run():
        watched = Watched(database)
        mirror = Mirror(watched, stripe, interval=timedelta(hours=1))
        task = asyncio.create_task(Background(watched, Verifier(watched, stripe), mirror).run())
        try:
            yield
        finally:
            await watched.end(task)

    return run


@pytest_asyncio.fixture(loop_scope="session")
async def touch(database):
    async def touch_(*customer_ids: str, urgent: bool = True, ticket: int = 0) -> None:
        now = datetime.now(UTC) - timedelta(minutes=1)
        changes = [
            Changed(customer_id=each, ticket=ticket, urgent=urgent, time=now + timedelta(seconds=n))
            for n, each in enumerate(customer_ids)
        ]
        await database.write(lambda connection: touches.touch_all(connection, changes))

    return touch_


async def _backlog(database) -> touches.Backlog:
    async with database.read() as connection:
        return await touches.backlog(connection)


async def _until(condition) -> None:
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.01)


def _customers(script, *names: str) -> None:
    script.on("GET", "/v1/products", listed())
    for name in names:
        script.on("GET", f"/v1/customers/{name}", Answer({"id": name}))


def _asked(script) -> list[str]:
    return [call.params["customer"] for call in script.calls if call.path == SUBSCRIPTIONS]


async def test_one_that_keeps_failing_is_given_up_and_blocks_nobody(
    database, script, working, touch, caplog
):
    refuse = refused(400)
    script.on(
        "GET",
        SUBSCRIPTIONS,
        lambda call: refuse if call.params["customer"] == "cus_bad" else listed(),
    )
    _customers(script, "cus_1", "cus_2")
    await touch("cus_bad", "cus_1", "cus_2")

    async def given_up() -> bool:
        return REGISTRY.get_sample_value("paidup_parked_customers") == 1

    async with working():
        await _until(given_up)

    left = await _backlog(database)
    assert (left.parked.customers, left.urgent.customers, left.plain.customers) == (1, 0, 0)
    assert _asked(script).count("cus_bad") == MOST_TRIES
    (record,) = [each for each in caplog.records if each.getMessage() == "customer_parked"]
    assert (record.customer_id, record.error) == ("cus_bad", "StripeRefused")


async def test_touched_anew_it_is_tried_again(database, script, working, touch):
    answers = [refused(400)] * MOST_TRIES + [listed()]
    script.on("GET", SUBSCRIPTIONS, *answers)
    _customers(script, "cus_1")
    await touch("cus_1")

    async def given_up() -> bool:
        return (await _backlog(database)).parked.customers == 1

    async def done() -> bool:
        return await _backlog(database) == touches.Backlog()

    async with working():
        await _until(given_up)
        await touch("cus_1", urgent=False, ticket=1)
        await _until(done)

    assert len(_asked(script)) == MOST_TRIES + 1


async def test_one_that_is_touched_during_its_last_try_is_not_given_up(database, touch):
    await touch("cus_1", ticket=5)
    async with database.read() as connection:
        (failing,) = await touches.due(connection, now=datetime.now(UTC), limit=1)
    await touch("cus_1", ticket=6)
    last = Touch(
        customer_id="cus_1",
        ticket=failing.ticket,
        urgent=True,
        attempts=MOST_TRIES - 1,
        touch_time=NOW,
    )

    given_up = await database.write(
        lambda connection: backlog.put_off(connection, last, KeyError("x"), until=NOW)
    )

    assert given_up is False
    assert (await _backlog(database)).urgent.customers == 1


async def test_a_refresh_of_its_account_ends_it(database, script, stripe, touch):
    script.on("GET", SUBSCRIPTIONS, listed())
    _customers(script, "cus_1")

    async def link(connection) -> None:
        await customers.lock(connection, ["cus_1"])
        await customers.link(connection, "cus_1", "acct_1")

    await database.write(link)
    await touch("cus_1")
    await database.write(
        lambda connection: touches.park(
            connection, "cus_1", up_to=0, attempts=MOST_TRIES, error="KeyError"
        )
    )

    await AccountRefresh(database, stripe, Verifier(database, stripe)).refresh("acct_1")

    assert await _backlog(database) == touches.Backlog()


def _touch(attempts: int) -> Touch:
    return Touch(customer_id="cus_1", ticket=1, urgent=True, attempts=attempts, touch_time=NOW)


@pytest.mark.parametrize(
    "fault",
    [StripeUnavailable(), StripeMisconfigured(), StateUnavailable("away")],
    ids=lambda fault: type(fault).__name__,
)
async def test_what_befalls_everybody_gives_nobody_up(fault):
    attempts = 0
    for _ in range(100):
        attempts = attempts_after(_touch(attempts), fault)

    assert attempts == MOST_OUTAGES < MOST_TRIES
    assert attempts_after(_touch(MOST_TRIES - 1), fault) == MOST_TRIES - 1


@pytest.mark.parametrize(
    "fault",
    [StripeRefused(status=400, code=None, param=None), UnexpectedShape("odd"), KeyError("odd")],
    ids=lambda fault: type(fault).__name__,
)
async def test_what_befalls_one_counts_to_the_end(fault):
    assert attempts_after(_touch(MOST_TRIES - 1), fault) == MOST_TRIES


async def test_urgent_ones_go_first_then_the_longest_waiting(
    database, script, working, touch, monkeypatch
):
    monkeypatch.setattr(background, "CONCURRENCY", 1)
    names = [f"cus_{number:02}" for number in range(20)]
    script.on("GET", SUBSCRIPTIONS, listed())
    _customers(script, *names, "cus_urgent")
    await touch(*names, urgent=False)
    await touch("cus_urgent", urgent=True)

    async def done() -> bool:
        return await _backlog(database) == touches.Backlog()

    async with working():
        await _until(done)

    assert _asked(script) == ["cus_urgent", *names]


async def test_how_much_waits_is_told_by_urgency(database, script, working, touch):
    script.on("GET", SUBSCRIPTIONS, Answer(held=asyncio.Event()))
    _customers(script)
    await touch("cus_1", "cus_2", urgent=False)
    await touch("cus_3", urgent=True)

    def told(name: str, urgency: str) -> float:
        return REGISTRY.get_sample_value(name, {"urgency": urgency}) or 0.0

    async def is_told() -> bool:
        return told("paidup_touched", "plain") == 2 and told("paidup_touched", "urgent") == 1

    async with working():
        await _until(is_told)

    for urgency in ("urgent", "plain"):
        assert 50 < told("paidup_oldest_touch_seconds", urgency) < 120
