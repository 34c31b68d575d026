"""Deliveries that share a commit, and the ones that must not spoil it."""

import asyncio
import logging
from datetime import UTC, datetime

import aiohttp
import pytest

from subscription_state.database import Database
from subscription_state.ingest import Delivery, Outcome
from subscription_state.wakeups import Announcer, Listener
from tests.builders import a_delivery, a_stripe_event
from tests.gateway.clients import SECRET, Answer, Stripe, an_event, until
from tests.gateway.databases import Postgresql, SharedDatabase, count, stored
from tests.gateway.serving import serving
from webhook_gateway import inbox as inbox_module
from webhook_gateway import webhook as webhook_module
from webhook_gateway.gateway import assemble
from webhook_gateway.inbox import Inbox, InboxFull
from webhook_gateway.metrics import Metrics

COMMITS = "paidup_webhook_commit_batch_size_count"
COMMITTED = "paidup_webhook_commit_batch_size_sum"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def inbox(state: Database, metrics: Metrics) -> Inbox:
    return Inbox(state, Announcer(state), metrics=metrics)


async def deliver_while_one_is_held(
    stripe: Stripe, database: SharedDatabase, *numbers: int
) -> list[Answer]:
    """Let deliveries queue behind the commit of event 0, and give their answers."""
    async with database.held():
        first = asyncio.create_task(stripe.deliver(an_event(0)))
        await stripe.until_waiting(1)
        others = [asyncio.create_task(stripe.deliver(an_event(number))) for number in numbers]
        await stripe.until_waiting(1 + len(numbers))
    assert (await first).outcome == "applied"
    return list(await asyncio.gather(*others))


async def test_what_waits_at_the_same_time_shares_one_commit(
    stripe: Stripe, database: SharedDatabase
) -> None:
    answers = await deliver_while_one_is_held(stripe, database, *range(1, 16))

    assert {answer.outcome for answer in answers} == {"applied"}
    assert await stripe.metric(COMMITS) == 2
    assert await stripe.metric(COMMITTED) == 16
    assert len(await stored(database.url)) == 16


async def test_a_lone_delivery_waits_for_nobody(stripe: Stripe) -> None:
    answer = await stripe.deliver(an_event())

    assert answer.outcome == "applied"
    assert await stripe.metric(COMMITS) == 1
    assert await stripe.metric("paidup_webhook_queue_depth") == 0
    assert await stripe.metric("paidup_webhook_queue_bytes") == 0


async def test_each_in_a_batch_has_its_own_outcome(
    stripe: Stripe, database: SharedDatabase
) -> None:
    async with database.held():
        first = asyncio.create_task(stripe.deliver(an_event(0)))
        await stripe.until_waiting(1)
        others = [
            asyncio.create_task(stripe.deliver(event))
            for event in (
                an_event(0),
                an_event(1, livemode=True),
                a_stripe_event("payout.paid", id="evt_2"),
                an_event(3, api_version="2020-08-27"),
                an_event(4),
            )
        ]
        await stripe.until_waiting(6)

    assert (await first).outcome == "applied"
    outcomes = [answer.outcome for answer in await asyncio.gather(*others)]
    assert outcomes == ["duplicate", "foreign", "ignored", "skipped", "applied"]


async def test_which_delivery_of_its_event_it_was_is_counted(
    stripe: Stripe, database: SharedDatabase
) -> None:
    for _ in range(3):
        await stripe.deliver(an_event(0))
    await deliver_one_twice_in_a_commit(stripe, database)
    await stripe.deliver(a_stripe_event("payout.paid", id="evt_9"))

    async def up_to(number: str) -> float:
        return await stripe.metric("paidup_webhook_event_deliveries_bucket", le=number)

    counted = [await up_to(number) for number in ("1.0", "2.0", "3.0", "5.0")]
    assert counted == [3, 5, 6, 6]
    assert {row.event_id: row.deliveries for row in await stored(database.url)} == {
        "evt_0": 3,
        "evt_1": 2,
        "evt_5": 1,
    }


async def deliver_one_twice_in_a_commit(stripe: Stripe, database: SharedDatabase) -> None:
    """Deliver an event, then another twice in one commit."""
    async with database.held():
        first = asyncio.create_task(stripe.deliver(an_event(5)))
        await stripe.until_waiting(1)
        others = [asyncio.create_task(stripe.deliver(an_event(1))) for _ in range(2)]
        await stripe.until_waiting(3)
    await asyncio.gather(first, *others)


async def test_a_batch_is_bounded(
    stripe: Stripe, database: SharedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "MAX_BATCH", 4)

    answers = await deliver_while_one_is_held(stripe, database, *range(1, 11))

    assert {answer.outcome for answer in answers} == {"applied"}
    assert await stripe.metric(COMMITS) == 1 + 3


async def test_a_poison_event_is_stored_as_failed_and_blocks_nobody(
    stripe: Stripe, database: SharedDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    await database.poison("evt_2")

    answers = await deliver_while_one_is_held(stripe, database, 1, 2, 3)

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert [answer.outcome for answer in answers] == ["applied", "failed", "applied"]
    rows = {row.event_id: row for row in await stored(database.url)}
    assert {event_id: row.state for event_id, row in rows.items()} == {
        "evt_0": "applied",
        "evt_1": "applied",
        "evt_2": "failed",
        "evt_3": "applied",
    }
    assert rows["evt_2"].error == "IntegrityError"
    counted = {"type": "customer.subscription.created", "outcome": "failed"}
    assert await stripe.metric("paidup_webhook_events_total", **counted) == 1
    [record] = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert (record.getMessage(), record.event_id) == ("webhook_event_failed", "evt_2")
    assert record.error_place.startswith("events.py:")
    assert "jenny" not in caplog.text


async def test_an_event_that_cannot_even_be_stored_as_failed_has_to_come_again(
    stripe: Stripe, database: SharedDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    await database.forbid("evt_2")

    answers = await deliver_while_one_is_held(stripe, database, 1, 2, 3)

    assert [answer.status for answer in answers] == [200, 503, 200]
    assert [row.event_id for row in await stored(database.url)] == ["evt_0", "evt_1", "evt_3"]
    [record] = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert (record.getMessage(), record.event_id) == ("webhook_event_not_stored", "evt_2")


async def test_a_caller_that_gives_up_takes_nobody_with_it(
    inbox: Inbox, metrics: Metrics, database: SharedDatabase
) -> None:
    async with database.held():
        tasks = [asyncio.create_task(inbox.take(_delivery(number))) for number in range(4)]
        await asyncio.sleep(0)
        for gone in (tasks[0], tasks[2]):
            gone.cancel()
        await asyncio.wait([tasks[0], tasks[2]])

    assert tasks[0].cancelled()
    assert tasks[2].cancelled()
    assert await asyncio.gather(tasks[1], tasks[3]) == [Outcome.APPLIED, Outcome.APPLIED]
    assert len(await stored(database.url)) == 4
    assert metrics.registry.get_sample_value("paidup_webhook_queue_depth") == 0


async def test_a_client_that_goes_away_does_not_stop_its_event(
    stripe: Stripe, database: SharedDatabase
) -> None:
    async with database.held():
        gone = asyncio.create_task(stripe.deliver(an_event(1)))
        await stripe.until_waiting(1)
        stays = asyncio.create_task(stripe.deliver(an_event(2)))
        await stripe.until_waiting(2)
        gone.cancel()
        await asyncio.wait([gone])

    assert (await stays).outcome == "applied"
    assert [row.event_id for row in await stored(database.url)] == ["evt_1", "evt_2"]


async def test_more_events_than_may_wait_are_refused_and_may_come_later(
    stripe: Stripe, database: SharedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "MAX_EVENTS", 2)
    async with database.held():
        accepted = [asyncio.create_task(stripe.deliver(an_event(number))) for number in (1, 2)]
        await stripe.until_waiting(2)

        answer = await stripe.deliver(an_event(3))

    assert (answer.status, answer.reason) == (503, "overloaded")
    assert answer.headers["Retry-After"] == "5"
    assert {each.outcome for each in await asyncio.gather(*accepted)} == {"applied"}
    assert (await stripe.deliver(an_event(3))).outcome == "applied"


async def test_more_bytes_than_may_wait_are_refused(
    inbox: Inbox, database: SharedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(_delivery(1).event.body)
    monkeypatch.setattr(inbox_module, "MAX_BYTES", 2 * size)
    async with database.held():
        accepted = [asyncio.create_task(inbox.take(_delivery(number))) for number in (1, 2)]
        await asyncio.sleep(0)

        with pytest.raises(InboxFull):
            await inbox.take(_delivery(3))

    assert await asyncio.gather(*accepted) == [Outcome.APPLIED, Outcome.APPLIED]


async def test_a_request_is_answered_in_time_though_its_commit_takes_longer(
    stripe: Stripe, database: SharedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_module, "ANSWER_TIMEOUT", 0.2)
    async with database.held():
        answer = await stripe.deliver(an_event())

    assert (answer.status, answer.reason) == (503, "not_stored")

    async def is_stored() -> bool:
        return await count(database.url) == 1

    await until(is_stored)
    monkeypatch.undo()
    assert (await stripe.deliver(an_event())).outcome == "duplicate"


async def test_it_is_settled_once_all_are_answered(inbox: Inbox, database: SharedDatabase) -> None:
    async with database.held():
        waiting = [asyncio.create_task(inbox.take(_delivery(number))) for number in range(3)]
        await asyncio.sleep(0)
        settled = asyncio.create_task(inbox.settled())
        await asyncio.sleep(0)
        assert not settled.done()

    await settled
    assert await asyncio.gather(*waiting) == [Outcome.APPLIED] * 3


def _delivery(number: int) -> Delivery:
    return a_delivery(an_event(number), received=datetime.now(UTC))


async def test_who_verifies_is_told_of_what_was_committed_and_of_nothing_else(
    postgresql: Postgresql, session: aiohttp.ClientSession
) -> None:
    state = Database.at(postgresql.url)
    listener = Listener(postgresql.url)
    waiter = listener.waiter()
    listening = asyncio.create_task(listener.run())
    assert await waiter.wait(10), "it listens now"

    async with serving(assemble(state, SECRET), session) as stripe:
        assert (await stripe.deliver(an_event())).outcome == "applied"
        assert await waiter.wait(3600)
        assert (await stripe.deliver(an_event())).outcome == "duplicate"
    await state.close()

    assert not await waiter.wait(0.1)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def test_wakeups_can_be_turned_off(
    postgresql: Postgresql, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = Database.at(postgresql.url)
    told: list[str] = []

    async def notify(channel: str) -> None:
        told.append(channel)

    monkeypatch.setattr(state, "notify", notify)
    async with serving(assemble(state, SECRET, wakeups=False), session) as stripe:
        assert (await stripe.deliver(an_event())).outcome == "applied"
    await state.close()

    assert told == []
