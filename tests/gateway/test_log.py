"""What the gateway writes of each delivery, and under which id, as a real process."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.clients import PATH, Stripe, an_event, signed, until
from tests.gateway.databases import SharedDatabase
from tests.gateway.processes import GatewayProcess, a_process


@pytest.fixture
def database(sqlite: SharedDatabase) -> SharedDatabase:
    return sqlite


@pytest.fixture
def process(database: SharedDatabase, tmp_path: Path) -> Iterator[GatewayProcess]:
    with a_process(tmp_path, DATABASE_URL=database.url) as started:
        yield started


@pytest.fixture
async def stripe(process: GatewayProcess, session: aiohttp.ClientSession) -> Stripe:
    return Stripe(session, await process.url())


def _lines(process: GatewayProcess, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in process.log.splitlines()]
    return [line for line in lines if line["event"] == event]


async def _until_written(process: GatewayProcess, event: str, lines: int) -> list[dict[str, Any]]:
    async def written() -> bool:
        return len(_lines(process, event)) >= lines

    await until(written)
    return _lines(process, event)


async def test_each_delivery_is_told_with_its_event_and_an_id_of_its_own(
    stripe: Stripe, process: GatewayProcess
) -> None:
    answers = await asyncio.gather(*(stripe.deliver(an_event(number)) for number in range(12)))
    lines = await _until_written(process, "webhook_received", 12)

    told = {line["request_id"]: line for line in lines}
    assert set(told) == {answer.headers["x-request-id"] for answer in answers}
    assert {line["event_id"] for line in lines} == {f"evt_{number}" for number in range(12)}
    assert {line["event_type"] for line in lines} == {"customer.subscription.created"}
    assert {line["outcome"] for line in lines} == {"applied"}
    assert all(line["milliseconds"] > 0 for line in lines)


async def test_the_id_that_a_proxy_gave_is_kept(stripe: Stripe, process: GatewayProcess) -> None:
    body = json.dumps(an_event()).encode()
    answer = await stripe.post(body, {**signed(body), "X-Request-Id": "ingress-17"})

    (line,) = await _until_written(process, "webhook_received", 1)
    assert (line["request_id"], answer.headers["x-request-id"]) == ("ingress-17", "ingress-17")


@pytest.mark.parametrize("sent", ["x" * 129, "ada@example.com", '{"a":"b"}'])
async def test_an_id_that_is_not_taken_is_replaced(
    stripe: Stripe, process: GatewayProcess, sent: str
) -> None:
    body = json.dumps(an_event()).encode()
    answer = await stripe.post(body, {**signed(body), "X-Request-Id": sent})

    (line,) = await _until_written(process, "webhook_received", 1)
    assert line["request_id"] == answer.headers["x-request-id"]
    assert sent not in process.log


async def test_a_refusal_has_an_id_too_and_its_alarm_names_it(
    stripe: Stripe, process: GatewayProcess
) -> None:
    answer = await stripe.deliver(an_event(), secret="whsec_wrong")

    (line,) = await _until_written(process, "webhook_signature_mismatch", 1)
    assert answer.headers["x-request-id"] == line["request_id"]
    assert _lines(process, "webhook_received") == []


async def test_a_fault_in_a_shared_commit_is_not_told_under_anothers_id(
    stripe: Stripe, process: GatewayProcess, database: SharedDatabase
) -> None:
    await database.poison("evt_3")
    await asyncio.gather(*(stripe.deliver(an_event(number)) for number in (1, 2, 3)))

    (fault,) = await _until_written(process, "webhook_event_failed", 1)
    others = {"evt_1", "evt_2"}
    theirs = {
        line["request_id"]
        for line in _lines(process, "webhook_received")
        if line["event_id"] in others
    }
    assert len(theirs) == 2
    assert fault["event_id"] == "evt_3"
    assert fault.get("request_id") not in theirs


async def test_nothing_of_a_body_is_written(stripe: Stripe, process: GatewayProcess) -> None:
    event = an_event()
    event["data"]["object"]["description"] = "ada@example.com whsec_right told in confidence"
    await stripe.deliver(event)
    await _until_written(process, "webhook_received", 1)

    assert "confidence" not in process.log
    assert "ada@" not in process.log


async def test_build_and_lag_of_the_loop_are_measured(stripe: Stripe) -> None:
    async def measured() -> bool:
        return await stripe.metric("paidup_event_loop_lag_seconds_count") > 0

    await until(measured)
    async with stripe._session.get(f"{stripe.url}/metrics") as answer:
        text = await answer.text()
    assert 'paidup_build_info{api_version="2026-10-28.endive",version="' in text
    assert stripe.url + PATH not in text
