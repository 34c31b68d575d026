"""A storm of webhooks over real processes: all are taken, and read by the budget."""

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bench.storm import Storm, storm
from billing_service.budget import CALLS_PER_SECOND
from tests.leaks import assert_nothing_leaked

CUSTOMERS = 60
EVENTS = 600


@pytest.fixture
async def running(tmp_path):
    async with storm(f"sqlite+aiosqlite:///{tmp_path / 'paidup.db'}") as started:
        await started.make_customers(CUSTOMERS)
        started.recorder.calls.clear()
        yield started
    assert_nothing_leaked(started.stack)


async def _metrics(address: str) -> dict[tuple[str, ...], float]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{address}/metrics") as answer,
    ):
        text = await answer.text()
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_a_storm_is_taken_whole_and_read_by_the_budget(running: Storm) -> None:
    before = await _metrics(running.stack.gateway.address)
    statuses = await running.send(EVENTS)
    await running.until_over(within=60)

    assert statuses == [200] * EVENTS
    assert {call.customer for call in running.reads()} == set(running.subscriptions)
    assert running.needless_reads() == 0
    # When a call arrives is a little later than when it began, so not quite a second.
    assert running.recorder.most_within(0.95) <= CALLS_PER_SECOND
    await _gateway_tells(running, before)
    await _service_tells(running)


async def _gateway_tells(running: Storm, before: dict[tuple[str, ...], float]) -> None:
    after = await _metrics(running.stack.gateway.address)
    grown = {key: value - before.get(key, 0) for key, value in after.items()}
    taken = [value for (name, *_), value in grown.items() if name == "paidup_webhook_events_total"]
    assert sum(taken) == EVENTS
    assert grown["paidup_webhook_commit_batch_size_sum",] == EVENTS
    assert grown["paidup_webhook_commit_batch_size_count",] < EVENTS / 2
    assert grown["paidup_webhook_event_deliveries_count",] == EVENTS
    assert grown["paidup_webhook_event_deliveries_sum",] == EVENTS


async def _service_tells(running: Storm) -> None:
    service = await _metrics(running.stack.metrics_address)
    assert service["paidup_stripe_calls_total", "list_subscriptions", "ok"] == len(running.reads())
    for urgency in ("plain", "urgent"):
        assert ("paidup_touched", urgency) in service
        assert ("paidup_oldest_touch_seconds", urgency) in service
    assert service["paidup_parked_customers",] == 0
    assert 0 <= service["paidup_since_verify_seconds",] < 60
    assert 0 <= service["paidup_stripe_budget_left",] <= CALLS_PER_SECOND
    assert service["paidup_drift_total",] >= 0
