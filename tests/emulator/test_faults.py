"""What goes wrong on purpose: drawn by seed, counted, and as Stripe would let it go wrong."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import stripe
from aiohttp import web

from tests.emulator.shop import KEY, Receiver, Shop


async def _faults(shop: Shop, faults: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = await shop.control("/faults", faults, method="PUT")
    return answer


async def _counts(shop: Shop) -> dict[str, int]:
    counts: dict[str, int] = await shop.control("/faults/counts", method="GET")
    return counts


async def _drain(shop: Shop) -> None:
    assert (await shop.control("/deliveries/drain", {"timeout": 20}))["drained"]


async def _products(shop: Shop, number: int) -> list[str]:
    return [(await shop.product()).id for _ in range(number)]


async def _statuses(shop: Shop, number: int = 60) -> list[int]:
    return [(await shop.raw("GET", "/v1/customers")).status for _ in range(number)]


async def _fates(shop: Shop, receiver: Receiver) -> list[tuple[str, bool]]:
    listed = (await shop.control("/deliveries", method="GET"))["deliveries"]
    assert len(receiver.events) > 0
    return [(delivery["state"], delivery["repeats"]) for delivery in listed]


async def test_the_same_seed_meets_the_same_faults(shop: Shop) -> None:
    faults = {"seed": 7, "api": {"rate_limited": 0.2, "failing": 0.2}}

    await _faults(shop, faults)
    first = await _statuses(shop)
    await _faults(shop, faults)
    second = await _statuses(shop)
    await _faults(shop, {**faults, "seed": 8})
    other = await _statuses(shop)

    assert first == second != other
    assert set(first) == {200, 429, 500}
    counts = await _counts(shop)
    every = first + second + other
    assert (counts["rate_limited"], counts["failed"]) == (every.count(429), every.count(500))


async def test_one_knob_does_not_change_the_luck_of_another(shop: Shop) -> None:
    await _faults(shop, {"seed": 7, "api": {"rate_limited": 0.2}})
    alone = await _statuses(shop)
    await _faults(shop, {"seed": 7, "api": {"rate_limited": 0.2, "failing": 0.2}})
    together = await _statuses(shop)

    assert [status == 429 for status in alone] == [status == 429 for status in together]


async def test_a_rate_limit_names_the_limit(shop: Shop) -> None:
    await _faults(shop, {"api": {"rate_limited": 1}})

    refused = await shop.raw("POST", "/v1/customers")

    assert refused.status == 429
    assert refused.headers["Stripe-Rate-Limited-Reason"] == "global-rate"
    assert (await refused.json())["error"]["code"] == "rate_limit"
    await _faults(shop, {})
    assert (await shop.stripe.customers.list_async()).data == []


async def test_half_of_the_failures_had_executed_the_call(shop: Shop) -> None:
    await _faults(shop, {"seed": 1, "api": {"routes": {"POST /v1/customers": {"failing": 1}}}})

    failed = [await shop.raw("POST", "/v1/customers") for _ in range(40)]

    made = (await shop.stripe.customers.list_async({"limit": 100})).data
    assert {response.status for response in failed} == {500}
    assert (await failed[0].json())["error"]["type"] == "api_error"
    assert 10 < len(made) < 30


async def test_a_retry_with_the_same_key_finds_what_the_failed_call_did(shop: Shop) -> None:
    await _faults(shop, {"seed": 1, "api": {"failing": 0.6}})

    answers = [await _insist(shop, f"key-{number}") for number in range(10)]

    await _faults(shop, {})
    made = (await shop.stripe.customers.list_async({"limit": 100})).data
    replayed = [answer.headers.get("Idempotent-Replayed") for answer in answers]
    assert len(made) == 10
    assert 0 < replayed.count("true") < 10


async def _insist(shop: Shop, key: str) -> aiohttp.ClientResponse:
    for _ in range(50):
        answer = await shop.raw("POST", "/v1/customers", headers={"Idempotency-Key": key})
        if answer.status == 200:
            return answer
    pytest.fail("The emulator failed fifty times in a row.")


async def test_a_client_that_is_never_answered_gives_up(shop: Shop) -> None:
    await _faults(shop, {"seed": 3, "api": {"timeout_share": 1}})
    brief = aiohttp.ClientTimeout(total=0.2)

    for _ in range(8):
        with pytest.raises(TimeoutError):
            await shop.raw("POST", "/v1/customers", timeout=brief)

    await _faults(shop, {})
    made = (await shop.stripe.customers.list_async({"limit": 100})).data
    assert 0 < len(made) < 8
    assert (await _counts(shop))["timed_out"] == 8


async def test_an_answer_that_breaks_off_was_executed(shop: Shop) -> None:
    await _faults(shop, {"api": {"cut_share": 1}})

    with pytest.raises(aiohttp.ClientPayloadError):
        await shop.raw("POST", "/v1/customers")

    await _faults(shop, {})
    assert len((await shop.stripe.customers.list_async()).data) == 1
    assert (await _counts(shop))["cut"] == 1


async def test_a_slow_answer_is_older_than_what_happened_meanwhile(shop: Shop) -> None:
    customer = await shop.stripe.customers.create_async({"name": "before"})
    route = {"GET /v1/customers/{id}": {"slow_share": 1, "slow_seconds": 0.5}}
    await _faults(shop, {"api": {"routes": route}})

    reading = asyncio.create_task(shop.stripe.customers.retrieve_async(customer.id))
    async with asyncio.timeout(10):
        while (await _counts(shop))["slowed"] == 0:
            await asyncio.sleep(0.01)
    await shop.stripe.customers.update_async(customer.id, {"name": "after"})

    assert (await reading).name == "before"


async def test_a_route_has_its_own_knobs(shop: Shop) -> None:
    routes = {
        "GET /v1/prices": {"rate_limited": 1},
        "POST /v1/customers/{id}": {"next": 1, "status": 502},
    }
    await _faults(shop, {"api": {"routes": routes}})

    assert (await shop.raw("GET", "/v1/prices")).status == 429
    assert (await shop.raw("GET", "/v1/products")).status == 200
    assert (await shop.raw("POST", "/v1/customers/cus_x")).status == 502
    assert (await shop.raw("POST", "/v1/customers/cus_x")).status == 404
    set_to = await shop.control("/faults", method="GET")
    assert set_to["api"]["routes"]["POST /v1/customers/{customer}"]["next"] == 0


async def test_requests_are_logged_without_what_is_secret(shop: Shop) -> None:
    await shop.raw("POST", "/v1/customers", headers={"Idempotency-Key": "key-of-mine"})
    await shop.raw("GET", "/v1/customers?email=ada%40example.com")
    await shop.raw("GET", "/v1/nowhere")

    log = await shop.control("/requests", method="GET")

    seen = [
        (call["method"], call["path"], call["status"], call["idempotency_key"])
        for call in log["requests"]
    ]
    assert log["total"] == 3
    assert seen == [
        ("POST", "/v1/customers", 200, True),
        ("GET", "/v1/customers", 200, False),
        ("GET", "/v1/nowhere", 404, False),
    ]
    assert not {"key-of-mine", "ada", KEY} & set(str(log).split())
    assert "key-of-mine" not in str(log)
    assert KEY not in str(log)


async def test_a_call_without_an_answer_is_logged_without_a_status(shop: Shop) -> None:
    await _faults(shop, {"api": {"cut_share": 1}})
    with pytest.raises(aiohttp.ClientPayloadError):
        await shop.raw("GET", "/v1/customers")

    (call,) = (await shop.control("/requests", method="GET"))["requests"]
    assert call["status"] is None


async def test_deliveries_are_repeated_by_share_and_by_seed(shop: Shop, receiver: Receiver) -> None:
    await _faults(shop, {"seed": 7, "webhooks": {"duplicate": 0.4}})

    await _products(shop, 30)
    await _drain(shop)

    counts = await _counts(shop)
    assert 4 < counts["duplicated"] < 25
    assert counts["delivered"] == len(receiver.events) == 30 + counts["duplicated"]
    assert len({event.id for event in receiver.events}) == 30
    assert not await shop.events(delivery_success=False)


async def test_deliveries_are_lost_by_share_and_by_seed(shop: Shop, receiver: Receiver) -> None:
    faults = {"seed": 7, "webhooks": {"drop_share": 0.3, "duplicate": 0.3}}
    await _faults(shop, faults)
    await _products(shop, 30)
    await _drain(shop)
    first = await _fates(shop, receiver)
    await _faults(shop, faults)
    await _products(shop, 30)
    await _drain(shop)
    second = (await _fates(shop, receiver))[len(first) :]

    lost = await shop.events(delivery_success=False)
    counts = await _counts(shop)
    assert first == second
    assert counts["dropped"] == len(lost) == first.count(("dropped", False)) * 2
    assert 4 < len(lost) < 40
    assert not {event.id for event in lost} & {event.id for event in receiver.events}


async def test_delayed_deliveries_wait_until_the_knob_is_off(
    shop: Shop, receiver: Receiver
) -> None:
    await _faults(shop, {"webhooks": {"delay_seconds": 120, "delay_share": 1}})
    await _products(shop, 3)

    waiting = await shop.control("/deliveries/drain", {"timeout": 0.2})
    before = receiver.deliveries
    await _faults(shop, {})
    await _drain(shop)

    assert waiting == {"drained": False, "pending": 3, "held": 0}
    assert before == 0
    assert receiver.types == ["product.created"] * 3
    assert (await _counts(shop))["delayed"] == 3


async def test_deliveries_are_overtaken(shop: Shop, receiver: Receiver) -> None:
    await _faults(shop, {"seed": 7, "webhooks": {"reorder": 0.3}})

    made = await _products(shop, 30)
    await _drain(shop)

    arrived = [event.data.object["id"] for event in receiver.events]
    assert sorted(arrived) == sorted(made)
    assert arrived != made
    assert 2 < (await _counts(shop))["reordered"] < 20


async def test_a_burst_has_one_second(shop: Shop, receiver: Receiver) -> None:
    await _faults(shop, {"webhooks": {"same_second": True}})
    await shop.product()
    await shop.advance(4)
    await shop.product()
    await shop.advance(60)
    await shop.product()
    await _drain(shop)

    first, second, third = await shop.events()
    assert first.created == second.created < third.created
    assert {event.created for event in receiver.events} == {first.created, third.created}


async def test_another_version_is_delivered_as_such(shop: Shop, receiver: Receiver) -> None:
    await _faults(shop, {"webhooks": {"api_version": "2024-06-20"}})
    await shop.product()
    await _drain(shop)

    assert [event.api_version for event in receiver.events] == ["2024-06-20"]


@pytest.fixture
async def signatures(shop: Shop) -> AsyncIterator[list[tuple[bytes, str]]]:
    """Listen at an endpoint that takes everything, and give what came with which signature."""
    seen: list[tuple[bytes, str]] = []

    async def receive(request: web.Request) -> web.Response:
        seen.append((await request.read(), request.headers["Stripe-Signature"]))
        return web.Response()

    app = web.Application()
    app.router.add_post("/", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    await shop.stripe.webhook_endpoints.create_async(
        {"url": f"http://127.0.0.1:{runner.addresses[0][1]}/", "enabled_events": ["*"]}
    )
    yield seen
    await runner.cleanup()


def _opens(secret: str, delivery: tuple[bytes, str]) -> bool:
    try:
        stripe.Webhook.construct_event(*delivery, secret)
    except stripe.SignatureVerificationError:
        return False
    return True


async def test_a_wrong_secret_opens_nothing(
    shop: Shop, signatures: list[tuple[bytes, str]]
) -> None:
    (endpoint,) = (await shop.stripe.webhook_endpoints.list_async()).data
    rolled = await shop.control(f"/webhook_endpoints/{endpoint.id}/roll", {"overlap_seconds": 0})
    await shop.product()
    await _drain(shop)
    await _faults(shop, {"webhooks": {"wrong_secret": True}})
    await shop.product()
    await _drain(shop)

    assert [_opens(rolled["secret"], delivery) for delivery in signatures] == [True, False]
    assert (await _counts(shop))["wrongly_signed"] == 1


async def test_both_secrets_sign_while_one_is_rolled(
    shop: Shop, signatures: list[tuple[bytes, str]]
) -> None:
    (endpoint,) = (await shop.stripe.webhook_endpoints.list_async()).data
    roll = f"/webhook_endpoints/{endpoint.id}/roll"
    await shop.control(roll, {"secret": "whsec_old", "overlap_seconds": 0})
    await shop.control(roll, {"secret": "whsec_new", "overlap_seconds": 3600})
    await shop.product()
    await _drain(shop)
    await shop.control(roll, {"secret": "whsec_newer", "overlap_seconds": 0})
    await shop.product()
    await _drain(shop)

    during, after = signatures
    assert during[1].count("v1=") == 2
    assert _opens("whsec_old", during)
    assert _opens("whsec_new", during)
    assert _opens("whsec_newer", after)
    assert not _opens("whsec_new", after)


async def test_a_secret_overlaps_for_a_day_at_most(shop: Shop, receiver: Receiver) -> None:
    (endpoint,) = (await shop.stripe.webhook_endpoints.list_async()).data
    roll = f"/webhook_endpoints/{endpoint.id}/roll"

    await shop.control(roll, {"overlap_seconds": 86_401}, status=400)
    await shop.control("/webhook_endpoints/we_none/roll", {}, status=404)

    await shop.product()
    await receiver.until(lambda: receiver.types == ["product.created"])
    assert receiver.deliveries == 1


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"seed": -1}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"seed": True}, "seed"),
        ({"webhooks": {"duplicate": 1.1}}, "webhooks.duplicate"),
        ({"webhooks": {"reorder": True}}, "webhooks.reorder"),
        ({"webhooks": {"delay_share": 0.5}}, "webhooks.delay_share"),
        ({"webhooks": {"delay_seconds": 5}}, "webhooks.delay_share"),
        ({"webhooks": {"delay_seconds": 121, "delay_share": 1}}, "webhooks.delay_seconds"),
        ({"webhooks": {"api_version": 3}}, "webhooks.api_version"),
        ({"webhooks": {"api_version": "x" * 51}}, "webhooks.api_version"),
        ({"webhooks": {"rate_limited": 0.1}}, "webhooks.rate_limited"),
        ({"api": {"failing": -0.1}}, "api.failing"),
        ({"api": {"rate_limited": 0.6, "cut_share": 0.6}}, "api.rate_limited"),
        ({"api": {"slow_share": 0.5}}, "api.slow_share"),
        ({"api": {"next": -1}}, "api.next"),
        ({"api": {"routes": []}}, "api.routes"),
        ({"api": {"routes": {"GET /v1/nowhere": {}}}}, "api.routes"),
        ({"api": {"routes": {"GET /v1/prices": 3}}}, "api.routes.GET /v1/prices"),
        ({"api": {"routes": {"GET /v1/prices": {"x": 1}}}}, "api.routes.GET /v1/prices.x"),
        ({"api": {"routes": {"GET /v1/account": {"y": {}}}}}, "api.routes.GET /v1/account.y"),
    ],
)  # fmt: skip
async def test_a_knob_that_cannot_be_set_so_is_named(shop: Shop, body: Any, param: str) -> None:
    before = await shop.control("/faults", method="GET")

    answer = await shop.control("/faults", body, method="PUT", status=400)

    assert answer["error"]["type"] == "invalid_request_error"
    assert answer["error"]["param"] == param
    assert await shop.control("/faults", method="GET") == before


async def test_what_is_set_can_be_set_again(shop: Shop) -> None:
    faults = {"seed": 7, "api": {"routes": {"GET /v1/prices": {"cut_share": 0.5}}}}
    shown = await _faults(shop, faults)

    assert await _faults(shop, shown) == shown
    assert shown["api"]["routes"]["GET /v1/prices"]["cut_share"] == 0.5
