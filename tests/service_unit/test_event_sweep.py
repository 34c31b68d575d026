"""The sweep for events that never came, against a Stripe that says what a test tells it to."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from prometheus_client import REGISTRY

from billing_service import event_sweep
from billing_service.errors import StripeUnavailable
from billing_service.event_sweep import EventSweep
from subscription_state import catalog, cursors, deployment, head, ingest, touches
from tests.builders import a_delivery, a_stripe_customer, a_stripe_event, seconds
from tests.service_unit.scripted_stripe import Answer, listed

pytestmark = pytest.mark.asyncio(loop_scope="session")

EVENTS = "/v1/events"
DAY = timedelta(days=1)


def an_event(number: int, *, age: timedelta = timedelta(hours=1), **fields):
    held = a_stripe_customer(id=f"cus_{number}")
    created = seconds(datetime.now(UTC) - age)
    return a_stripe_event(
        "customer.updated", held, **{"id": f"evt_{number}", "created": created} | fields
    )


@pytest.fixture
def sweep(database, stripe):
    return EventSweep(database, stripe, interval=timedelta(minutes=5))


async def _touched(database) -> set[str]:
    async with database.read() as connection:
        far = datetime.now(UTC) + DAY
        return {each.customer_id for each in await touches.due(connection, now=far, limit=1000)}


async def _cursor(database) -> datetime | None:
    async with database.read() as connection:
        value = await cursors.get(connection, event_sweep.NAME)
    return None if value is None else datetime.fromisoformat(value)


def _runs(outcome: str) -> float:
    labels = {"sweep": "events", "outcome": outcome}
    return REGISTRY.get_sample_value("paidup_sweep_runs_total", labels) or 0.0


async def test_customers_of_events_that_did_not_come_are_touched(database, script, sweep):
    await database.write(lambda connection: deployment.bind(connection, livemode=False))
    await ingest.ingest(database, [a_delivery(an_event(2))])
    await database.write(lambda connection: _clear(connection, "cus_2"))
    script.on("GET", EVENTS, listed(an_event(3), an_event(2), an_event(1)))

    swept = await sweep.run()

    assert await _touched(database) == {"cus_1", "cus_3"}
    assert (swept.listed, swept.unseen, swept.touched) == (3, 2, 2)


async def _clear(connection, customer_id: str) -> None:
    await touches.clear(connection, customer_id, up_to=await head.draw(connection))


async def test_every_page_is_swept(database, script, sweep):
    pages = [
        listed(*(an_event(100 * page + each) for each in range(100)), has_more=page < 2)
        for page in range(3)
    ]
    script.on("GET", EVENTS, *pages)

    assert (await sweep.run()).touched == 300
    assert [call.params.get("starting_after") for call in script.calls] == [
        None,
        "evt_99",
        "evt_199",
    ]


async def test_a_long_run_has_come_no_further_than_to_where_it_began(database, script, sweep):
    """What happened while it listed is behind the pages that it has read."""

    def page(*events, date: datetime, has_more: bool) -> Answer:
        stamp = format_datetime(date, usegmt=True)
        return replace(listed(*events, has_more=has_more), headers={"Date": stamp})

    began = datetime.now(UTC).replace(microsecond=0)
    later = began + timedelta(minutes=30)
    script.on(
        "GET",
        EVENTS,
        page(an_event(1), date=began, has_more=True),
        page(an_event(2), date=later, has_more=False),
    )

    await sweep.run()

    reached = await _cursor(database)
    assert reached is not None
    assert reached <= began


async def test_the_first_run_goes_as_far_back_as_stripe_and_later_ones_overlap(
    database, stripe, script, sweep
):
    script.on("GET", EVENTS, listed())
    await sweep.run()
    reached = await _cursor(database)

    await EventSweep(database, stripe, interval=timedelta(minutes=5)).run()

    first, later = script.calls
    assert "created[gte]" not in first.params
    assert int(later.params["created[gte]"]) == int((reached - timedelta(minutes=10)).timestamp())
    assert abs(datetime.now(UTC) - reached) < timedelta(seconds=30)


async def test_what_an_overlap_tells_again_is_neither_touched_nor_counted_again(
    database, script, sweep
):
    script.on("GET", EVENTS, listed(an_event(1)))
    await sweep.run()
    await database.write(lambda connection: _clear(connection, "cus_1"))
    swept = await sweep.run()
    again = await sweep.run()

    assert (swept.unseen, again.unseen) == (0, 0)
    assert await _touched(database) == set()


async def test_a_webhook_that_may_be_on_its_way_is_left_to_the_next_run(database, script, sweep):
    script.on("GET", EVENTS, listed(an_event(1, age=timedelta(seconds=5))))

    assert (await sweep.run()).unseen == 0
    assert await _touched(database) == set()


async def test_events_that_nobody_stores_or_can_read_stop_nothing(database, script, sweep):
    other = an_event(1) | {"type": "charge.succeeded"}
    broken = an_event(2) | {"data": None}
    script.on("GET", EVENTS, listed(other, broken, an_event(3)))

    swept = await sweep.run()

    assert (swept.listed, swept.unreadable) == (2, 1)
    assert await _touched(database) == {"cus_3"}


async def test_a_products_event_has_the_catalogue_read(database, script, sweep):
    await database.write(_mirror_is_read)
    product = {"id": "prod_1", "object": "product"}
    created = seconds(datetime.now(UTC) - DAY)
    script.on("GET", EVENTS, listed(a_stripe_event("product.updated", product, created=created)))

    await sweep.run()

    async with database.read() as connection:
        assert await catalog.is_due(connection, older_than=datetime.now(UTC) - DAY)


async def _mirror_is_read(connection) -> None:
    ticket = await head.draw(connection)
    await catalog.save(connection, [], ticket=ticket, now=datetime.now(UTC))


async def test_a_run_that_fails_says_so_and_is_not_thought_to_have_been(database, script, sweep):
    script.on("GET", EVENTS, listed())
    await sweep.run()
    reached = await _cursor(database)
    script.on("GET", EVENTS, listed(an_event(1), has_more=True), Answer("", status=500))
    failed = _runs("failed")

    with pytest.raises(StripeUnavailable):
        await sweep.run()

    assert await _cursor(database) == reached
    assert _runs("failed") == failed + 1
    assert await _touched(database) == {"cus_1"}, "what was found is kept"


async def test_a_run_that_found_nothing_says_so(script, sweep, caplog):
    caplog.set_level("INFO")
    script.on("GET", EVENTS, listed())
    before = _runs("nothing")

    await sweep.run()

    told = [each for each in caplog.records if each.message == "events_swept"]
    assert [each.listed for each in told] == [0]
    assert _runs("nothing") == before + 1
    last = REGISTRY.get_sample_value("paidup_last_sweep_timestamp_seconds", {"sweep": "events"})
    assert abs(last - datetime.now(UTC).timestamp()) < 30


async def test_a_gap_that_stripe_cannot_fill_is_named(database, script, sweep, caplog):
    long_ago = datetime.now(UTC) - 40 * DAY
    await database.write(
        lambda connection: cursors.put(
            connection, event_sweep.NAME, long_ago.isoformat(), now=long_ago
        )
    )
    script.on("GET", EVENTS, listed())

    await sweep.run()

    assert [each.message for each in caplog.records if each.levelname == "WARNING"] == [
        "events_lost"
    ]


async def test_it_runs_once_in_an_interval_and_again_at_once_after_a_failure(
    database, stripe, script
):
    clock = [datetime.now(UTC)]
    sweep = EventSweep(database, stripe, interval=timedelta(minutes=5), now=lambda: clock[0])
    script.on("GET", EVENTS, Answer("", status=500), listed())
    with pytest.raises(StripeUnavailable):
        await sweep.run_if_due()
    for _ in range(3):
        await sweep.run_if_due()
    assert len(script.calls) == 2

    clock[0] += timedelta(minutes=5)
    await sweep.run_if_due()

    assert len(script.calls) == 3
