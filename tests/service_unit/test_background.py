import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from billing_service import background
from billing_service.background import Background, pause_after
from billing_service.feed import Feed
from billing_service.leased import LIFETIME, Lease
from billing_service.memory import Memory
from billing_service.mirror import Mirror
from billing_service.verifier import Verifier
from subscription_state import catalog, head, touches
from subscription_state.wakeups import Waiter
from tests.service_unit.scripted_stripe import Answer, listed, refused
from tests.service_unit.watched import Watched

pytestmark = pytest.mark.asyncio(loop_scope="session")

SUBSCRIPTIONS = "/v1/subscriptions"
PRODUCTS = "/v1/products"


async def _until(condition) -> None:
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.sleep(0.01)


@pytest.fixture
def working(database, stripe):
    @asynccontextmanager
    async def run(feed=None, **options):
        watched = Watched(database)
        mirror = Mirror(watched, stripe, interval=timedelta(hours=1))
        parts = watched, Verifier(watched, stripe), mirror
        working = Background(*parts, **options)
        if feed is not None:
            feed.listen(working.hear)
        task = asyncio.create_task(working.run())
        try:
            yield watched
        finally:
            await watched.end(task)

    return run


@pytest_asyncio.fixture(loop_scope="session")
async def touch(database):
    async def touch_(*customer_ids: str) -> None:
        async def work(connection):
            for customer_id in customer_ids:
                ticket = await head.draw(connection)
                await touches.touch(
                    connection, customer_id, ticket=ticket, urgent=True, now=datetime.now(UTC)
                )

        await database.write(work)

    return touch_


async def _waiting(database) -> set[str]:
    async with database.read() as connection:
        far = datetime.now(UTC) + timedelta(days=1)
        return {each.customer_id for each in await touches.due(connection, now=far, limit=100)}


def _by_customer(**answers: Answer):
    """Answer by customer: an empty list unless a test says otherwise."""
    return lambda call: answers.get(call.params["customer"], listed())


async def test_every_touched_customer_is_verified(database, script, working, touch):
    script.on("GET", SUBSCRIPTIONS, listed())
    script.on("GET", PRODUCTS, listed())
    await touch(*(f"cus_{number}" for number in range(10)))

    async def done() -> bool:
        return not await _waiting(database)

    for number in range(10):
        script.on("GET", f"/v1/customers/cus_{number}", Answer({"id": f"cus_{number}"}))
    async with working():
        await _until(done)

    asked = [call.params["customer"] for call in script.calls if call.path == SUBSCRIPTIONS]
    assert sorted(asked) == [f"cus_{number}" for number in range(10)]


def _customers(script, *names: str) -> None:
    for name in names:
        script.on("GET", f"/v1/customers/{name}", Answer({"id": name}))


async def test_one_slow_customer_holds_up_no_other(database, script, working, touch):
    names = [f"cus_{number}" for number in range(12)]
    never = Answer(held=asyncio.Event())
    script.on("GET", SUBSCRIPTIONS, _by_customer(cus_0=never))
    script.on("GET", PRODUCTS, listed())
    _customers(script, *names)
    await touch(*names)

    async def done() -> bool:
        return await _waiting(database) == {"cus_0"}

    async with working():
        await _until(done)

    assert await _waiting(database) == {"cus_0"}


async def test_one_poison_customer_holds_up_no_other(database, script, working, touch):
    names = [f"cus_{number}" for number in range(12)]
    poison = listed({"id": "sub_1", "object": "subscription", "nonsense": True})
    script.on("GET", SUBSCRIPTIONS, _by_customer(cus_0=poison, cus_1=refused(400)))
    script.on("GET", PRODUCTS, listed())
    _customers(script, *names)
    await touch(*names)

    async def done() -> bool:
        return await _waiting(database) == {"cus_0", "cus_1"}

    async with working():
        await _until(done)

    assert await _waiting(database) == {"cus_0", "cus_1"}


async def test_a_catalogue_that_cannot_be_read_holds_up_no_customer(
    database, script, working, touch
):
    script.on("GET", SUBSCRIPTIONS, listed())
    script.on("GET", PRODUCTS, refused(403))
    _customers(script, "cus_1")
    await touch("cus_1")

    async def done() -> bool:
        return not await _waiting(database)

    async with working():
        await _until(done)

    assert "/v1/customers/cus_1" in script.paths()


async def test_a_slow_catalogue_holds_up_no_customer(database, script, working, touch):
    script.on("GET", SUBSCRIPTIONS, listed())
    script.on("GET", PRODUCTS, Answer(held=asyncio.Event()))
    _customers(script, "cus_1")
    await touch("cus_1")

    async def done() -> bool:
        return not await _waiting(database)

    async with working():
        await _until(done)

    assert script.paths().count(PRODUCTS) == 1


async def test_a_catalogue_that_cannot_be_read_is_tried_again_ever_less_often(
    database, script, working, monkeypatch
):
    pauses = []
    monkeypatch.setattr(background, "POLL", 0.001)
    monkeypatch.setattr(background, "LOOK_EVERY", 0.0)

    def pause(attempts: int) -> timedelta:
        pauses.append(attempts)
        return timedelta(milliseconds=1)

    monkeypatch.setattr(background, "pause_after", pause)
    script.on("GET", PRODUCTS, refused(403))

    async def often() -> bool:
        return len(pauses) > 8

    async with working():
        await _until(often)

    assert pauses[:9] == [0, 1, 2, 3, 4, 5, 6, 6, 6]
    assert script.paths().count(PRODUCTS) >= 9


@pytest.fixture
def rounds(monkeypatch):
    """Count the rounds of a background whose clock stands still."""
    monkeypatch.setattr(background, "POLL", 0.001)
    counted = []

    class Counted(Waiter):
        async def wait(self, timeout: float) -> bool:  # noqa: ASYNC109 - as it is
            counted.append(timeout)
            return await super().wait(timeout)

    return counted, {"clock": lambda: 0.0, "waiter": Counted()}


async def test_while_nothing_is_committed_no_work_is_looked_for(
    database, script, working, touch, rounds
):
    counted, options = rounds
    script.on("GET", PRODUCTS, listed())

    async def twenty() -> bool:
        return len(counted) > 20

    async with working(**options):
        await _until(twenty)
        counted.clear()
        await touch("cus_1")
        await _until(twenty)

    assert await _waiting(database) == {"cus_1"}, "nobody told that it was touched"


async def test_work_is_looked_for_when_the_feed_brings_a_commit(
    database, script, working, touch, rounds
):
    counted, options = rounds
    script.on("GET", SUBSCRIPTIONS, listed())
    script.on("GET", PRODUCTS, listed())
    _customers(script, "cus_1")
    feed = Feed(database, Memory(most=10))
    following = asyncio.create_task(feed.run())

    async def looked() -> bool:
        return len(counted) > 20

    async def done() -> bool:
        return not await _waiting(database)

    async with working(feed, **options):
        await _until(looked)
        await touch("cus_1")
        await _until(done)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await feed.close()

    assert "/v1/customers/cus_1" in script.paths()


@pytest.fixture
def resting(rounds, monkeypatch):
    """The same, with pauses that nobody sees the end of."""
    monkeypatch.setattr(background, "POLL", 3600)
    return rounds


async def test_what_the_feed_brings_ends_a_pause(database, script, working, touch, resting):
    counted, options = resting
    script.on("GET", SUBSCRIPTIONS, listed())
    script.on("GET", PRODUCTS, listed())
    _customers(script, "cus_1")
    feed = Feed(database, Memory(most=10))

    async def pauses() -> bool:
        return bool(counted)

    async def done() -> bool:
        return not await _waiting(database)

    async with working(feed, **options):
        await _until(pauses)
        await touch("cus_1")
        await feed.read()
        await _until(done)
    await feed.close()

    assert "/v1/customers/cus_1" in script.paths()


async def test_the_catalogue_is_mirrored(database, script, working):
    feature = {"id": "pf_1", "entitlement_feature": {"lookup_key": "reports"}}
    script.on("GET", PRODUCTS, listed({"id": "prod_1", "name": "Basic"}))
    script.on("GET", "/v1/products/prod_1/features", listed(feature))

    async def mirrored() -> bool:
        async with database.read() as connection:
            return bool(await catalog.load(connection))

    async with working():
        await _until(mirrored)

    async with database.read() as connection:
        known = await catalog.load(connection)
    assert known["prod_1"].features == {"reports"}


@pytest.mark.parametrize(
    ("told", "days"),
    [("0", 0), ("14", 14), ("365", 365), ("366", None), ("-1", None), ("", None), ("two", None),
     ("1.5", None), ("٣", None)],
)  # fmt: skip
async def test_a_products_grace_is_read_from_its_metadata(database, script, stripe, told, days):
    metadata = {"paidup_grace_days": told}
    script.on("GET", PRODUCTS, listed({"id": "prod_1", "name": "Basic", "metadata": metadata}))
    script.on("GET", "/v1/products/prod_1/features", listed())

    await Mirror(database, stripe, interval=timedelta(minutes=5)).refresh()

    async with database.read() as connection:
        known = await catalog.load(connection)
    assert known["prod_1"].grace_days == days


async def test_more_than_ten_features_of_a_product_are_mirrored(database, at_emulator, sold):
    keys = [f"feature_{number}" for number in range(25)]
    products = at_emulator._client.v1.products
    product = await products.create_async({"name": "Everything"})
    for key in keys:
        features = at_emulator._client.v1.entitlements.features
        feature = await features.create_async({"name": key, "lookup_key": key})
        await products.features.create_async(product.id, {"entitlement_feature": feature.id})

    await Mirror(database, at_emulator, interval=timedelta(minutes=5)).refresh()

    async with database.read() as connection:
        known = await catalog.load(connection)
    assert known[product.id].features == set(keys)


async def test_only_who_holds_the_lease_works(database, script, working, touch):
    other = Lease(database, background.LEASE)
    script.on("GET", SUBSCRIPTIONS, listed())
    script.on("GET", PRODUCTS, listed())
    await touch("cus_1")
    assert await other.acquire()

    async with working():
        await asyncio.sleep(0.3)

    assert script.calls == []
    assert await _waiting(database) == {"cus_1"}


async def test_who_does_not_hold_the_lease_asks_for_it_seldom(database, working, monkeypatch):
    assert await Lease(database, background.LEASE).acquire()
    monkeypatch.setattr(background, "POLL", 0.001)

    async with working() as watched:
        await asyncio.sleep(0.3)

    assert watched.writes == 2, "it asked once, and gave nothing up at its end"


async def test_the_lease_is_kept_while_a_read_takes_longer_than_it(
    database, script, working, touch
):
    clock = [datetime.now(UTC) + timedelta(seconds=1)]
    script.on("GET", SUBSCRIPTIONS, Answer(held=asyncio.Event()))
    script.on("GET", PRODUCTS, listed())
    await touch("cus_1")
    rival = Lease(database, background.LEASE, now=lambda: clock[0])

    async def reading() -> bool:
        return SUBSCRIPTIONS in script.paths()

    async with working(now=lambda: clock[0]):
        await _until(reading)
        taken = []
        for _ in range(4):
            clock[0] += LIFETIME * 0.6
            await asyncio.sleep(0.3)
            taken.append(await rival.acquire())

    assert taken == [False] * 4


async def test_the_lease_and_the_claims_are_given_up_at_the_end(database, script, working, touch):
    script.on("GET", SUBSCRIPTIONS, Answer(held=asyncio.Event()))
    script.on("GET", PRODUCTS, Answer(held=asyncio.Event()))
    await touch("cus_1")

    async def reading() -> bool:
        return SUBSCRIPTIONS in script.paths()

    async with working():
        await _until(reading)

    assert await Lease(database, background.LEASE).acquire()
    assert await Lease(database, "verify:cus_1").acquire()


async def test_pauses_double_and_have_an_end():
    for attempts in (0, 1, 5, 9, 10, 1000):
        longest = min(2.0**attempts, 600)
        assert longest / 2 <= pause_after(attempts).total_seconds() <= longest


async def test_recurring_work_that_fails_holds_up_neither_customers_nor_other_work(
    database, script, working, touch
):
    script.on("GET", SUBSCRIPTIONS, listed())
    script.on("GET", PRODUCTS, listed())
    _customers(script, "cus_1")
    await touch("cus_1")
    done = []

    async def broken() -> None:
        raise KeyError("broken")

    async def sound() -> None:
        done.append("sound")

    async def all_done() -> bool:
        return bool(done) and not await _waiting(database)

    async with working(recurring={"broken": broken, "sound": sound}):
        await _until(all_done)

    assert "/v1/customers/cus_1" in script.paths()
