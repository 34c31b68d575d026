import asyncio
from datetime import timedelta

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from billing_service import stripe_api
from billing_service.budget import Budget
from billing_service.errors import StripeUnavailable
from billing_service.stripe_api import LiveStripe
from demo.stack import API_KEY
from tests.service_unit.scripted_stripe import Answer, refused

pytestmark = pytest.mark.asyncio(loop_scope="session")

CUSTOMER = "/v1/customers/cus_1"
FOUND = Answer({"id": "cus_1", "object": "customer"})


class Clock:
    """Moves only when everybody waits, to the first moment that somebody waits for."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        awake = asyncio.Event()
        self._sleepers.append((self.now + seconds + 1e-6, awake))
        await awake.wait()

    async def run(self, seconds: float) -> None:
        """Let so much time pass."""
        until = self.now + seconds
        await _settle()
        while due := [each for each in self._sleepers if each[0] <= until]:
            first = min(due, key=lambda each: each[0])
            self._sleepers.remove(first)
            self.now = max(self.now, first[0])
            first[1].set()
            await _settle()
        self.now = until


async def _settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def budget(clock):
    return Budget(10, monotonic=clock, sleep=clock.sleep)


class Callers:
    """Calls that draw at once, and the order in which they began."""

    def __init__(self, budget: Budget, clock: Clock) -> None:
        self.began: list[tuple[str, float]] = []
        self.tasks: list[asyncio.Task[None]] = []
        self._budget = budget
        self._clock = clock

    def ask(self, name: str, *, background: bool = False) -> asyncio.Task[None]:
        draw = self._budget.draw_in_background if background else self._budget.draw

        async def call() -> None:
            await draw()
            self.began.append((name, self._clock.now))

        self.tasks.append(asyncio.create_task(call()))
        return self.tasks[-1]

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.began]


@pytest.fixture
def callers(budget, clock):
    return Callers(budget, clock)


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["person", "background", "cancel", "limited"]),
        st.sampled_from([0.0, 0.01, 0.3, 0.999, 1.0, 2.5]),
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 7), steps=_STEPS)
async def test_no_second_has_more_calls_than_the_budget(size, steps):
    clock = Clock()
    budget = Budget(size, monotonic=clock, sleep=clock.sleep)
    callers = Callers(budget, clock)
    for what, pause in steps:
        if what == "cancel" and callers.tasks:
            callers.tasks[len(callers.tasks) // 2].cancel()
        elif what == "limited":
            budget.limited(timedelta(seconds=0.5))
        else:
            callers.ask(what, background=what == "background")
        await clock.run(pause)
    await clock.run(len(steps) + 1)

    times = [at for _, at in callers.began]
    assert all(task.done() for task in callers.tasks), "nobody waits for ever"
    for first, later in zip(times, times[size:], strict=False):
        assert later - first >= 1


async def test_a_budget_that_is_left_lets_calls_begin_at_once(budget, clock, callers):
    for number in range(10):
        callers.ask(str(number))
    await clock.run(0)

    assert callers.names == [str(number) for number in range(10)]
    assert budget.left() == 0


async def test_all_of_it_is_there_again_after_a_second(budget, clock, callers):
    for number in range(25):
        callers.ask(str(number))

    await clock.run(2.1)

    assert callers.names == [str(number) for number in range(25)], "in the order of asking"
    assert [int(at - 1000) for _, at in callers.began] == [0] * 10 + [1] * 10 + [2] * 5


async def test_background_work_leaves_some_to_people(budget, clock, callers):
    for number in range(20):
        callers.ask(f"b{number}", background=True)
    await clock.run(0.1)
    assert len(callers.began) == 8

    callers.ask("person")
    await clock.run(0)

    assert callers.names[-1] == "person"
    await clock.run(3)
    assert len(callers.began) == 21


async def test_people_go_before_background_work_that_waited_longer(budget, clock, callers):
    for number in range(10):
        callers.ask(f"first{number}")
    callers.ask("background", background=True)
    await clock.run(0.5)
    for number in range(15):
        callers.ask(f"person{number}")

    await clock.run(5)

    assert callers.names[-1] == "background"


async def test_a_budget_of_one_serves_background_work_too(clock):
    callers = Callers(Budget(1, monotonic=clock, sleep=clock.sleep), clock)
    callers.ask("background", background=True)
    callers.ask("another", background=True)

    await clock.run(1.1)

    assert callers.names == ["background", "another"]


async def test_who_gives_up_waiting_takes_nothing(budget, clock, callers):
    for number in range(10):
        callers.ask(str(number))
    waiting = [callers.ask("gone") for _ in range(10)]
    gone = callers.ask("gone", background=True)
    await clock.run(0.5)
    for task in [*waiting, gone]:
        task.cancel()
    await clock.run(0.6)
    assert budget.left() == 10

    callers.ask("background", background=True)
    await clock.run(0)
    assert callers.names[-1] == "background", "nobody is thought to be waiting still"


async def test_a_limit_of_stripes_empties_it_and_pauses_background_work(budget, clock, callers):
    budget.limited(timedelta(seconds=7))
    callers.ask("background", background=True)
    callers.ask("person")

    assert budget.left() == 0
    await clock.run(1.1)
    assert callers.names == ["person"]
    await clock.run(5.8)
    assert callers.names == ["person"]
    await clock.run(0.2)
    assert callers.names == ["person", "background"]


async def test_a_shorter_limit_does_not_end_a_longer_one(budget, clock, callers):
    budget.limited(timedelta(seconds=7))
    budget.limited(timedelta(seconds=1))
    callers.ask("background", background=True)

    await clock.run(6.9)
    assert callers.names == []
    await clock.run(0.2)
    assert callers.names == ["background"]


async def test_waiting_for_a_turn_draws_nothing(budget, clock):
    budget.limited(timedelta(seconds=3))
    turn = asyncio.create_task(budget.background_turn())
    await clock.run(2.9)
    assert not turn.done()

    await clock.run(0.2)

    assert turn.done()
    assert budget.left() == 10


@pytest_asyncio.fixture(loop_scope="session")
async def small(script, monkeypatch):
    monkeypatch.setattr(stripe_api, "NETWORK_RETRIES", 0)
    client = LiveStripe(API_KEY, api_base=script.url, budget=Budget(5))
    yield client
    await client.close()


async def test_every_call_is_drawn_from_the_budget(script, small):
    script.on("GET", CUSTOMER, FOUND)
    loop = asyncio.get_running_loop()
    began = loop.time()

    await asyncio.gather(*(small.customer("cus_1") for _ in range(11)))

    assert loop.time() - began >= 2


@pytest_asyncio.fixture(loop_scope="session")
async def persistent(script, monkeypatch):
    """Our side of Stripe as it is in service: the SDK tries twice more, at once."""
    client = LiveStripe(API_KEY, api_base=script.url, budget=Budget(4))
    monkeypatch.setattr(client._http, "_sleep_time_seconds", lambda *_arguments: 0.0)
    yield client
    await client.close()


@pytest.mark.parametrize("in_background", [False, True])
async def test_every_try_is_drawn_from_the_budget(script, persistent, in_background):
    times = []

    def fail(_call):
        times.append(asyncio.get_running_loop().time())
        return refused(500)

    script.on("GET", CUSTOMER, fail)
    stripe = persistent.in_background() if in_background else persistent

    answers = await asyncio.gather(
        *(stripe.customer("cus_1") for _ in range(4)), return_exceptions=True
    )

    assert {type(each) for each in answers} == {StripeUnavailable}
    assert len(times) == 12
    for first, later in zip(times, times[4:], strict=False):
        # When a try arrives is a little later than when it began.
        assert later - first > 0.9


async def test_outages_that_the_background_met_refuse_no_caller(script, small):
    script.on("GET", CUSTOMER, refused(500))
    behind = small.in_background()
    for _ in range(6):
        with pytest.raises(StripeUnavailable):
            await behind.customer("cus_1")
    script.on("GET", CUSTOMER, FOUND)

    assert (await small.customer("cus_1"))["id"] == "cus_1"
    asked = len(script.calls)
    with pytest.raises(StripeUnavailable):
        await behind.customer("cus_1")
    assert len(script.calls) == asked, "its own breaker refuses it"


async def test_a_429_pauses_background_work_for_as_long_as_stripe_says(script, small):
    limit = refused(429)
    script.on("GET", CUSTOMER, Answer(limit.body, 429, {"Retry-After": "2"}), FOUND)
    with pytest.raises(StripeUnavailable):
        await small.customer("cus_1")
    loop = asyncio.get_running_loop()
    began = loop.time()

    behind = asyncio.create_task(small.in_background().customer("cus_1"))
    await small.customer("cus_1")
    first = loop.time() - began
    await behind

    assert first < 1.5
    assert loop.time() - began >= 1.9


async def test_people_are_told_to_come_again_rather_than_kept_waiting(script, small, monkeypatch):
    monkeypatch.setattr(stripe_api, "PATIENCE", 0.05)
    script.on("GET", CUSTOMER, FOUND)

    answers = await asyncio.gather(
        *(small.customer("cus_1") for _ in range(6)), return_exceptions=True
    )

    assert [type(each) for each in answers].count(StripeUnavailable) == 1
    assert len(script.calls) == 5
