"""Whatever is remembered: an answer is what the database said at the answer's revision, and
not longer ago than the bound.

A history is a list of steps: accounts change, the catalogue is edited, time passes, the feed
is looked at, and checks are made, also while the others happen. The search is run on broken
copies too: if it found nothing there, it would prove nothing.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_service import checks, feed, memory
from billing_service.checks import Answer, Checks, Wanted
from billing_service.feed import Feed
from billing_service.memory import Account, Memory
from subscription_state import accounts, catalog, head
from subscription_state.catalog import Catalog
from subscription_state.database import Database
from subscription_state.entitlements import Decision, Policy, Subject, decide
from subscription_state.model import AccountState, FirstPayment, Status
from subscription_state.revision import Revision
from subscription_state.tables import metadata
from tests.builders import SECOND, a_product, a_subscription, an_item
from tests.service_memory.clock import Clock
from tests.state import steps

ACCOUNTS = ("acct_1", "acct_2", "acct_3", "acct_never")
#: Fewer than are asked about, so that some are forgotten.
REMEMBERED = 2
SUBJECTS = (Subject(feature="reports"), Subject(feature="chat"), Subject(product_id="prod_team"))
BOUND = 5 * SECOND
POLICY = Policy(grace=3 * SECOND)


@dataclass(frozen=True)
class Truth:
    """What the database held from a time on."""

    since: float
    number: int
    states: dict[str, AccountState]
    catalog: Catalog


class World:
    """A service's memory over a real database, beside a record of what that held when."""

    def __init__(self, runner: asyncio.Runner, url: str) -> None:
        self._runner = runner
        self.database = Database.at(url)
        if self.database.dialect == "sqlite":
            # Nothing in here has to survive a power failure.
            event.listen(self.database._engine.sync_engine, "connect", _hurry)

    def run(self, work: Any) -> Any:
        return self._runner.run(work)

    async def begin_anew(self) -> None:
        async def work(connection: AsyncConnection) -> None:
            for table in metadata.tables.values():
                await connection.execute(delete(table))
            await head.start_history(connection)

        await self.database.write(work)
        self.clock = Clock()
        remembered = Memory(most=REMEMBERED)
        self.feed = Feed(self.database, remembered, bound=BOUND, clock=self.clock.monotonic)
        self.checks = Checks(self.feed, remembered, POLICY, now=self.clock.now)
        self.truths: list[Truth] = []
        await self.note()

    async def note(self) -> None:
        async with self.database.read() as connection:
            truth = Truth(
                since=self.clock.seconds,
                number=(await head.current(connection)).number,
                states=await accounts.load(connection, ACCOUNTS),
                catalog=await catalog.load(connection),
            )
        self.truths.append(truth)

    def permitted(self, revision: Revision, *, now: float) -> list[Truth]:
        """List what an answer as of the revision may rest on."""
        oldest = max(t for t, truth in enumerate(self.truths) if self._is_old(truth, now))
        recent = self.truths[oldest:]
        number = max((t.number for t in recent if t.number <= revision.number), default=None)
        return [truth for truth in recent if truth.number == number]

    def _is_old(self, truth: Truth, now: float) -> bool:
        return truth is self.truths[0] or truth.since < now - BOUND.total_seconds()


def _hurry(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous = OFF")


@contextmanager
def a_world(url: str) -> Iterator[World]:
    with asyncio.Runner() as runner:
        world = World(runner, url)
        yield world
        runner.run(world.database.close())


class Step:
    async def happen(self, world: World) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class Change(Step):
    """An account's subscription becomes another."""

    account_id: str
    status: Status
    #: Seconds from now on until the trial, the subscription and the grace end.
    ends: int

    async def happen(self, world: World) -> None:
        number = self.account_id.rpartition("_")[2]
        end = world.clock.now() + self.ends * SECOND
        changed = a_subscription(
            subscription_id=f"sub_{number}",
            customer_id=f"cus_{number}",
            status=self.status,
            items=(an_item(product_id=f"prod_{'team' if self.ends % 2 else 'plus'}"),),
            first_payment=FirstPayment.CONFIRMED,
            trial_end=end,
            cancel_time=end + SECOND if self.ends % 3 else None,
            unpaid_since=end - POLICY.grace,
        )
        await steps.verify(
            world.database,
            changed,
            now=world.clock.now(),
            customer_id=changed.customer_id,
            account_id=self.account_id,
        )
        await world.note()


@dataclass(frozen=True)
class EditCatalog(Step):
    """Products give other features from now on, whether or not anybody has them."""

    features: tuple[str, ...]

    async def happen(self, world: World) -> None:
        ticket = await steps.draw(world.database)
        products = [a_product("prod_team", *self.features), a_product("prod_other", "chat")]

        async def work(connection: AsyncConnection) -> None:
            await catalog.save(connection, products, ticket=ticket, now=world.clock.now())

        await world.database.write(work)
        await world.note()


@dataclass(frozen=True)
class Pass(Step):
    """Time passes, and nobody looks at the feed."""

    seconds: float

    async def happen(self, world: World) -> None:
        world.clock.seconds += self.seconds


@dataclass(frozen=True)
class Look(Step):
    """The feed is looked at."""

    async def happen(self, world: World) -> None:
        await world.feed.read()


@dataclass(frozen=True)
class Ask(Step):
    """Some accounts are asked about."""

    pairs: tuple[tuple[str, Subject], ...]
    fully_consistent: bool = False
    at_least_latest: bool = False

    async def happen(self, world: World) -> None:
        latest = world.truths[-1].number
        answer = await self.answer(world)
        self.judge(world, answer)
        if self.fully_consistent or self.at_least_latest:
            assert answer.revision.number >= latest

    async def answer(self, world: World) -> Answer:
        return await world.checks.check(self.pairs, await self._wanted(world))

    def judge(self, world: World, answer: Answer) -> None:
        truths = world.permitted(answer.revision, now=world.clock.seconds)
        assert list(answer.decisions) in [self._decided(world, truth) for truth in truths]

    def _decided(self, world: World, truth: Truth) -> list[Decision]:
        catalog, now = truth.catalog, world.clock.now()
        return [
            decide(truth.states[account_id], subject, catalog=catalog, policy=POLICY, now=now)
            for account_id, subject in self.pairs
        ]

    async def _wanted(self, world: World) -> Wanted:
        if not self.at_least_latest:
            return Wanted(fully_consistent=self.fully_consistent)
        async with world.database.read() as connection:
            return Wanted(at_least=str(await head.current(connection)))


@dataclass(frozen=True)
class Meanwhile(Step):
    """All of these at once."""

    steps: list[Step]

    async def happen(self, world: World) -> None:
        asked = [step for step in self.steps if isinstance(step, Ask)]
        others = [step for step in self.steps if not isinstance(step, Ask)]
        answers, _ = await asyncio.gather(
            asyncio.gather(*(each.answer(world) for each in asked)),
            asyncio.gather(*(each.happen(world) for each in others)),
        )
        for each, answer in zip(asked, answers, strict=True):
            each.judge(world, answer)


class Chance:
    """Draws histories."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def history(self) -> list[Step]:
        return [self._step() for _ in range(self._random.randint(4, 30))]

    def _step(self) -> Step:
        draw = self._random.choices(
            [self._change, self._edit, self._pass, Look, self._ask, self._meanwhile],
            [4, 2, 4, 2, 10, 3],
        )[0]
        return draw()

    def _change(self) -> Step:
        status = self._random.choice([Status.ACTIVE, Status.TRIALING, Status.PAST_DUE])
        return Change(self._random.choice(ACCOUNTS[:3]), status, self._random.randint(0, 6))

    def _edit(self) -> Step:
        return EditCatalog(tuple(self._random.sample(["reports", "chat"], 1)))

    def _pass(self) -> Step:
        return Pass(self._random.choice([0.5, 1, 1, 2, 4, 6]))

    def _ask(self) -> Step:
        size = self._random.choice([1, 1, 1, 2, 5])
        choose = self._random.choice
        pairs = tuple(
            (choose((*ACCOUNTS, *ACCOUNTS[:1] * 3)), choose(SUBJECTS)) for _ in range(size)
        )
        return Ask(
            pairs,
            fully_consistent=self._random.random() < 0.1,
            at_least_latest=self._random.random() < 0.1,
        )

    def _meanwhile(self) -> Step:
        together: list[Step] = [self._change(), self._ask(), self._ask(), Look(), self._ask()]
        self._random.shuffle(together)
        return Meanwhile(together)


async def _goes_well(world: World, history: list[Step]) -> None:
    await world.begin_anew()
    for step in history:
        await step.happen(world)
    await Look().happen(world)
    for account_id in ACCOUNTS:
        await Ask(((account_id, SUBJECTS[0]),)).happen(world)


def search(world: World, *, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**32).map(Chance))
    def all_is_well(chance: Chance) -> None:
        world.run(_goes_well(world, chance.history()))

    all_is_well()


def test_no_answer_is_wrong_or_too_old_on_sqlite(sqlite_url: str) -> None:
    with a_world(sqlite_url) as world:
        search(world, examples=50)
    assert world.database.dialect == "sqlite"


def test_no_answer_is_wrong_or_too_old_on_postgresql(postgresql_url: str) -> None:
    with a_world(postgresql_url) as world:
        search(world, examples=20)
    assert world.database.dialect == "postgresql"


Break = Callable[[pytest.MonkeyPatch], object]


def a_stalled_feed_is_trusted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Feed, "is_fresh", lambda _feed: True)


def a_change_forgets_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Memory, "_forget", lambda _memory, _news: None)


def a_load_is_remembered_whatever_changed_meanwhile(patch: pytest.MonkeyPatch) -> None:
    """Accounts are read beside the feed, and what a look takes out meanwhile comes in again."""
    read = Feed.read

    async def beside(self: Feed, account_ids: Any = ()) -> memory.View:
        if not account_ids:
            return await read(self)
        async with self._database.read() as connection:
            states = await accounts.load(connection, account_ids)
        view = await read(self)
        loaded = {account_id: Account(state) for account_id, state in states.items()}
        self._memory._accounts.update(loaded)
        return memory.View(revision=view.revision, catalog=view.catalog, accounts=loaded)

    patch.setattr(Feed, "read", beside)


def a_decision_outlives_its_end(patch: pytest.MonkeyPatch) -> None:
    def decide_once(self: Account, subject: Subject, **more: Any) -> object:
        if subject not in self._decisions or self._catalog is not more["catalog"]:
            self._catalog = more["catalog"]
            self._decisions[subject] = decide(self.state, subject, **more)
        return self._decisions[subject]

    patch.setattr(Account, "decide", decide_once)


def an_edited_catalogue_is_not_heard_of(patch: pytest.MonkeyPatch) -> None:
    def decide_once(self: Account, subject: Subject, **more: Any) -> object:
        self._catalog = self._catalog or more["catalog"]
        return decide(self.state, subject, **{**more, "catalog": self._catalog})

    patch.setattr(Account, "decide", decide_once)


def a_wanted_revision_is_not_waited_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(checks, "_reaches", lambda _view, _at_least: True)


def consistent_means_remembered(patch: pytest.MonkeyPatch) -> None:
    view = Checks._view

    async def remembered(self: Checks, account_ids: Any, wanted: Wanted) -> memory.View:
        return await view(self, account_ids, replace(wanted, fully_consistent=False))

    patch.setattr(Checks, "_view", remembered)


def freshness_counts_from_another_time(patch: pytest.MonkeyPatch) -> None:
    """Freshness is counted from the end of a read."""
    take = Feed._take

    def late(self: Feed, *arguments: Any) -> memory.View:
        return take(self, *arguments[:2], arguments[2] + 4)

    patch.setattr(feed.Feed, "_take", late)


def a_batch_mixes_what_it_finds(patch: pytest.MonkeyPatch) -> None:
    async def fill(self: Checks, account_ids: Any) -> memory.View:
        known = [each for each in account_ids if each in self._memory._accounts]
        before = self._memory.view(known)
        view = await self._feed.read(self._memory.missing(account_ids))
        held = {**(before.accounts if before else {}), **view.accounts}
        return memory.View(revision=view.revision, catalog=view.catalog, accounts=held)

    patch.setattr(Checks, "_fill", fill)


BROKEN_COPIES: list[Break] = [
    a_stalled_feed_is_trusted,
    a_change_forgets_nothing,
    a_load_is_remembered_whatever_changed_meanwhile,
    a_decision_outlives_its_end,
    an_edited_catalogue_is_not_heard_of,
    a_wanted_revision_is_not_waited_for,
    consistent_means_remembered,
    freshness_counts_from_another_time,
    a_batch_mixes_what_it_finds,
]


@pytest.mark.parametrize("broken", BROKEN_COPIES, ids=lambda each: each.__name__)
def test_the_search_finds_what_is_wrong_with_a_broken_copy(
    broken: Break, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)

    with a_world(sqlite_url) as world, pytest.raises(AssertionError):
        go_through(world, histories=150)


def go_through(world: World, *, histories: int) -> None:
    for seed in range(histories):
        world.run(_goes_well(world, Chance(seed).history()))
