"""What both caches do beside the cases of behaviour that every language shares."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from clients.python.tests.cache_twins import CACHES, HASTE, AwaitableCache, Cache, Recorder, until
from clients.python.tests.scripted_service import Failure, running
from clients.python.tests.watched_service import (
    START,
    Clocks,
    Stream,
    WatchedService,
    entitlement,
    message,
    of_account,
)
from paidup import (
    BlockingEntitlementCache,
    CacheState,
    EntitlementCache,
    ErrorReason,
    InvalidRequest,
    Source,
    Unavailable,
)
from paidup._attempts import Backoff, Breaker
from paidup._cache_settings import Pace
from paidup._held import Accounts, Held
from paidup._server_time import Clock
from paidup.v1.entitlement_pb2 import Entitlement

UNAVAILABLE = Failure(code=grpc.StatusCode.UNAVAILABLE)
NOWHERE = "127.0.0.1:1"


@pytest.fixture
async def service() -> AsyncIterator[WatchedService]:
    async with running(service_class=WatchedService) as service:
        yield service


@pytest.fixture(params=CACHES)
def cache_class(request: pytest.FixtureRequest) -> Any:
    return CACHES[request.param]


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def clock(clocks: Clocks) -> Clock:
    return Clock(monotonic=clocks.monotonic, wall=clocks.wall)


async def make_ready(service: WatchedService, cache: Cache) -> Stream:
    stream = await service.streams.get()
    stream.send(message(START, "r1"))
    await cache.wait_until_ready()
    return stream


async def test_many_who_ask_at_once_share_one_call(
    service: WatchedService, cache_class: Any
) -> None:
    service.lists["acme"] = [entitlement(feature="api_access")]
    service.hold.clear()
    async with cache_class(service.address, pace=HASTE) as cache:
        checks = [asyncio.create_task(cache.check("acme", feature="api_access")) for _ in range(5)]
        await until(lambda: bool(service.listed))
        service.hold.set()
        decisions = await asyncio.gather(*checks)

    assert all(decisions)
    assert len(service.listed) == 1


async def test_whoever_gives_up_leaves_the_answer_to_the_others(service: WatchedService) -> None:
    service.lists["acme"] = [entitlement(feature="api_access")]
    service.hold.clear()
    async with EntitlementCache(service.address, pace=HASTE) as cache:
        impatient, patient = (
            asyncio.create_task(cache.check("acme", feature="api_access")) for _ in range(2)
        )
        await until(lambda: bool(service.listed))
        impatient.cancel()
        service.hold.set()

        assert (await patient).source is Source.RPC
    assert impatient.cancelled()


async def test_what_no_account_can_be_called_is_the_callers_mistake(
    service: WatchedService, cache_class: Any
) -> None:
    from google.rpc.error_details_pb2 import ErrorInfo  # noqa: PLC0415 - for this alone

    reason = ErrorReason.Name(ErrorReason.ERROR_REASON_INVALID_REQUEST)
    service.lists[""] = Failure(
        code=grpc.StatusCode.INVALID_ARGUMENT,
        details=[ErrorInfo(reason=reason, domain="paidup.dev")],
    )
    async with cache_class(service.address, fail_open=True, pace=HASTE) as cache:
        with pytest.raises(InvalidRequest):
            await cache.check("", feature="api_access")


@pytest.mark.parametrize("subject", [{}, {"feature": "a", "product_id": "b"}])
async def test_a_check_names_one_thing(
    service: WatchedService, cache_class: Any, subject: dict[str, str]
) -> None:
    async with cache_class(service.address, pace=HASTE) as cache:
        with pytest.raises(TypeError):
            await cache.check("acme", **subject)
        with pytest.raises(TypeError):
            cache.peek("acme", **subject)
        with pytest.raises(TypeError):
            cache.entitled("acme", **subject)


async def test_while_the_service_is_away_not_every_check_waits_for_it(
    service: WatchedService, cache_class: Any, clocks: Clocks, clock: Clock
) -> None:
    service.lists["acme"] = Failure(code=grpc.StatusCode.INTERNAL)
    async with cache_class(service.address, clock=clock, pace=HASTE) as cache:
        for _ in range(10):
            assert (await cache.check("acme", feature="api_access")).source is Source.FALLBACK
        asked = len(service.listed)
        clocks.passed += Breaker.PAUSE
        service.lists["acme"] = [entitlement(feature="api_access")]

        assert asked == Breaker.FAILURES
        assert (await cache.check("acme", feature="api_access")).source is Source.RPC


async def test_the_service_may_come_after_the_cache(cache_class: Any) -> None:
    async with running() as reserved:
        address = reserved.address
    async with cache_class(address, accounts=["acme"], pace=HASTE) as cache:
        with pytest.raises(Unavailable):
            await cache.wait_until_ready(timeout=0.05)
        assert cache.state is CacheState.CONNECTING
        async with running(address=address, service_class=WatchedService) as service:
            stream = await asyncio.wait_for(service.streams.get(), 30)
            stream.send(message(START, "r1"))
            await cache.wait_until_ready()
            assert cache.state is CacheState.READY


async def test_a_server_that_is_killed_is_followed_again_when_it_is_back(
    cache_class: Any, clocks: Clocks, clock: Clock
) -> None:
    settings: dict[str, Any] = {"accounts": ["acme"], "clock": clock, "pace": HASTE}
    async with (
        running(service_class=WatchedService) as first,
        cache_class(first.address, **settings) as cache,
    ):
        await make_ready(first, cache)
        await first.stop()
        clocks.passed += 16
        assert cache.state is CacheState.STALE
        async with running(address=first.address, service_class=WatchedService) as second:
            stream = await asyncio.wait_for(second.streams.get(), 30)
            stream.send(message(clocks.server(), "r1"))
            await until(lambda: cache.state is CacheState.READY)

    assert stream.request.resume_revision == "r1"


async def test_an_observer_hears_what_happens(
    service: WatchedService, cache_class: Any, clocks: Clocks, clock: Clock
) -> None:
    heard = Recorder()
    service.lists["acme"] = [entitlement(feature="api_access")]
    async with cache_class(service.address, clock=clock, pace=HASTE, observer=heard) as cache:
        stream = await make_ready(service, cache)
        await cache.check("acme", feature="api_access")
        cache.entitled("acme", feature="api_access")
        cache.entitled("acme", feature="reports")
        clocks.passed += 16
        await until(lambda: CacheState.STALE in heard.states)
        await until(lambda: bool(heard.errors))

    assert heard.states == [CacheState.READY, CacheState.STALE]
    assert heard.messages == ["heartbeat"]
    assert heard.checks == {
        (Source.RPC, True): 1,
        (Source.MEMORY, True): 1,
        (Source.MEMORY, False): 1,
    }
    assert heard.errors[0][0] == "watch"
    assert stream.request.resume_revision == ""


async def test_a_decision_says_what_it_rests_on(
    service: WatchedService, cache_class: Any, clocks: Clocks, clock: Clock
) -> None:
    async with cache_class(service.address, accounts=["acme"], clock=clock, pace=HASTE) as cache:
        stream = await service.streams.get()
        right = entitlement(product_id="prod_basic", until=60)
        right.quantity = 3
        stream.send(message(START, "", account=of_account("acme", [right])))
        stream.send(message(START, "r1"))
        await cache.wait_until_ready()
        clocks.passed += 2
        decision = cache.peek("acme", product_id="prod_basic")

    assert decision.valid_until_time is not None
    assert decision.valid_until_time.timestamp() == START + 60
    assert (decision.quantity, decision.reason) == (3, 1)
    assert decision.age == pytest.approx(2, abs=0.001)


async def test_what_is_not_understood_entitles_nobody(
    service: WatchedService, cache_class: Any
) -> None:
    service.lists["acme"] = [
        Entitlement(account_id="acme", feature="reports", entitled=False),
        Entitlement(account_id="acme", entitled=True),
    ]
    async with cache_class(service.address, pace=HASTE) as cache:
        assert not await cache.check("acme", feature="reports")
        assert not await cache.check("acme", feature="")


async def test_a_cache_that_is_closed_asks_nobody(
    service: WatchedService, cache_class: Any
) -> None:
    cache = cache_class(service.address, pace=HASTE)
    async with cache:
        pass

    with pytest.raises(RuntimeError):
        await cache.check("acme", feature="api_access")
    assert cache.peek("acme", feature="api_access").source is Source.FALLBACK
    assert service.listed == []


async def test_closing_ends_tasks_and_threads(service: WatchedService, cache_class: Any) -> None:
    async with cache_class(service.address, pace=HASTE) as cache:
        await make_ready(service, cache)
    await cache.close()

    assert {each for each in threading.enumerate() if each.name.startswith("paidup-")} == set()
    assert [each for each in asyncio.all_tasks() if "EntitlementCache" in repr(each)] == []


async def test_threads_may_peek_at_a_cache_of_asyncio(service: WatchedService) -> None:
    service.lists["acme"] = [entitlement(feature="api_access")]
    async with EntitlementCache(service.address, pace=HASTE) as cache:
        assert not await asyncio.to_thread(cache.entitled, "acme", feature="api_access")
        await until(lambda: cache.entitled("acme", feature="api_access"))


async def test_readers_are_never_disturbed_by_what_is_told(service: WatchedService) -> None:
    with BlockingEntitlementCache(service.address, accounts=["acme"], pace=HASTE) as cache:
        stream = await service.streams.get()
        told = message(START, "", account=of_account("acme", [entitlement(feature="api_access")]))
        told.send_time.GetCurrentTime()
        beat = message(START, "r1")
        beat.send_time.GetCurrentTime()
        stream.send(told)
        stream.send(beat)
        await asyncio.to_thread(cache.wait_until_ready)

        def read() -> list[bool]:
            return [cache.entitled("acme", feature="api_access") for _ in range(20_000)]

        readers = [asyncio.create_task(asyncio.to_thread(read)) for _ in range(3)]
        while not all(reader.done() for reader in readers):
            stream.send(told)
            await asyncio.sleep(0)
        answers = await asyncio.gather(*readers)

    assert all(all(each) for each in answers)


def test_accounts_that_nobody_asks_about_go_first() -> None:
    accounts = Accounts(most=3)
    for account_id in ("a", "b", "c"):
        accounts.put(account_id, Held(asked=account_id != "b"))
    accounts.put("d", Held(asked=True))

    assert set(accounts.by_id) == {"a", "c", "d"}


def test_there_are_never_more_accounts_than_allowed() -> None:
    accounts = Accounts(most=10)
    for number in range(1000):
        accounts.put(str(number), Held(asked=True))

    assert len(accounts) == 10


def test_pauses_double_up_to_the_longest_and_vary() -> None:
    backoff = Backoff(Pace())
    delays = [backoff.next_delay() for _ in range(40)]
    backoff.succeeded()

    for number, delay in enumerate(delays):
        longest = min(10, 0.1 * 2**number)
        assert longest / 2 <= delay <= longest
    assert len(set(delays)) == len(delays)
    assert backoff.next_delay() <= 0.1


@pytest.mark.parametrize(
    "settings",
    [
        {"accounts": []},
        {"accounts": [str(number) for number in range(10_001)], "max_accounts": 20_000},
        {"accounts": ["a", "b"], "max_accounts": 1},
        {"max_staleness": 9},
        {"max_staleness": float("inf")},
        {"max_staleness": float("nan")},
        {"last_known_good_max_age": -1},
        {"rpc_timeout": 0},
        {"max_accounts": 0},
    ],
)
@pytest.mark.parametrize("cache", [EntitlementCache, BlockingEntitlementCache])
def test_settings_that_make_no_sense_are_refused(cache: Any, settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        cache(NOWHERE, **settings)


def test_one_account_is_named_in_a_list() -> None:
    with pytest.raises(TypeError):
        EntitlementCache(NOWHERE, accounts="acme")


def test_both_caches_can_do_the_same() -> None:
    assert EntitlementCache.__init__ is BlockingEntitlementCache.__init__
    public = [
        {name for name in vars(cache) if not name.startswith("_")}
        for cache in (EntitlementCache, BlockingEntitlementCache)
    ]
    assert public[0] == public[1] == {"check", "close", "wait_until_ready"}
    assert AwaitableCache is CACHES["blocking"]
