"""The gateway as the process that is deployed: started, stopped, killed."""

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.gateway.clients import Stripe, an_event, until
from tests.gateway.databases import SharedDatabase, count, stored
from tests.gateway.processes import GatewayProcess, a_process


@pytest.fixture
def process(database: SharedDatabase, tmp_path: Path) -> Iterator[GatewayProcess]:
    with a_process(tmp_path, DATABASE_URL=database.url) as started:
        yield started


@pytest.fixture
async def stripe(process: GatewayProcess, session: aiohttp.ClientSession) -> Stripe:
    return Stripe(session, await process.url())


async def test_what_was_answered_with_success_survives_a_kill(
    stripe: Stripe, process: GatewayProcess, database: SharedDatabase
) -> None:
    answers = await asyncio.gather(*(stripe.deliver(an_event(number)) for number in range(20)))
    await process.kill()

    assert {answer.status for answer in answers} == {200}
    assert await count(database.url) == 20


async def test_a_kill_under_load_loses_nothing_that_was_answered(
    stripe: Stripe, process: GatewayProcess, database: SharedDatabase
) -> None:
    answered: set[str] = set()

    async def deliver_until_cut(first: int) -> None:
        for number in range(first, 10_000, 8):
            answer = await stripe.deliver(an_event(number))
            if answer.status == 200:
                answered.add(f"evt_{number}")

    async def enough() -> bool:
        return len(answered) > 100

    senders = [asyncio.create_task(deliver_until_cut(first)) for first in range(8)]
    await until(enough)
    await process.kill()
    ends = await asyncio.gather(*senders, return_exceptions=True)

    assert all(isinstance(end, aiohttp.ClientError) for end in ends)
    assert answered <= {row.event_id for row in await stored(database.url)}


async def test_an_event_whose_answer_was_cut_off_is_stored_once(
    stripe: Stripe,
    process: GatewayProcess,
    database: SharedDatabase,
    session: aiohttp.ClientSession,
    tmp_path: Path,
) -> None:
    async with database.held():
        cut = asyncio.create_task(stripe.deliver(an_event()))
        await stripe.until_waiting(1)
        await process.kill()
        [end] = await asyncio.gather(cut, return_exceptions=True)
        assert isinstance(end, aiohttp.ClientError)

    with a_process(tmp_path, DATABASE_URL=database.url) as restarted:
        answer = await Stripe(session, await restarted.url()).deliver(an_event())

    assert answer.outcome == "applied"
    [row] = await stored(database.url)
    assert row.deliveries == 1


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
async def test_it_answers_what_it_accepted_before_it_stops(
    stripe: Stripe, process: GatewayProcess, database: SharedDatabase, by: signal.Signals
) -> None:
    async with database.held():
        waiting = [asyncio.create_task(stripe.deliver(an_event(number))) for number in range(10)]
        await stripe.until_waiting(10)
        process.terminate(by)
        await until(lambda: _refuses_connections(stripe))

    answers = await asyncio.gather(*waiting)
    assert {answer.outcome for answer in answers} == {"applied"}
    assert await process.ended() == 0
    assert await count(database.url) == 10


async def test_it_stops_at_once_when_nothing_waits(stripe: Stripe, process: GatewayProcess) -> None:
    assert (await stripe.request("GET", "/readyz")).status == 200

    process.terminate()

    assert await asyncio.wait_for(process.ended(), 5) == 0


async def test_its_log_holds_neither_secrets_nor_people(
    stripe: Stripe, process: GatewayProcess, database: SharedDatabase
) -> None:
    held = {
        "id": "cus_1",
        "object": "customer",
        "email": "jenny@example.com",
        "name": "Jenny Rosen",
    }
    event = {**an_event(), "type": "customer.created", "data": {"object": held}}
    await database.poison("evt_1")

    answers = [
        await stripe.deliver(event),
        await stripe.deliver(event, secret="whsec_wrong"),
        await stripe.deliver({**event, "livemode": True}),
        await stripe.send(b'{"email": "jenny@example.com"'),
        await stripe.post(json.dumps(event).encode(), {"Stripe-Signature": "whsec_oops"}),
    ]
    process.terminate()
    await process.ended()

    assert [answer.status for answer in answers] == [200, 400, 200, 400, 400]
    lines = [json.loads(line) for line in process.log.splitlines()]
    assert {"webhook_event_failed", "webhook_signature_mismatch", "webhook_event_foreign"} <= {
        line["event"] for line in lines
    }
    for secret in ("whsec_", "jenny", "Jenny", "Traceback"):
        assert secret not in process.log


async def _refuses_connections(stripe: Stripe) -> bool:
    host, port = stripe.url.removeprefix("http://").split(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except ConnectionError:
        return True
    writer.close()
    await writer.wait_closed()
    return False
