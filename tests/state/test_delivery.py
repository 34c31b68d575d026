"""Rules 1 and 2 together: whatever the network does, what is stored becomes what Stripe says.

A history is a list of steps: changes at a pretended Stripe, their events that arrive late,
twice, out of order or never, and reads of customers whose answers come late. The search
is run on broken copies of the rules too: if it found nothing there, it would prove nothing.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import (
    apply,
    customers,
    deployment,
    head,
    ingest,
    rule_one,
    subscriptions,
    touches,
    verification,
)
from subscription_state.database import Database
from subscription_state.from_stripe import subscription_from_stripe
from subscription_state.model import TERMINAL, FirstPayment, Subscription
from subscription_state.rule_one import Verdict
from subscription_state.tables import metadata, subscription
from subscription_state.unit_of_work import UnitOfWork
from subscription_state.verification import CustomerRead, save_read
from tests.builders import SECOND, Json, a_delivery
from tests.state.pretend_stripe import KINDS, OVER, Answer, PretendStripe

#: Subscriptions and their customers.
CUSTOMER_OF = {"sub_1": "cus_1", "sub_2": "cus_1", "sub_3": "cus_2"}
CUSTOMERS = ("cus_1", "cus_2")

HOW_SURE = [FirstPayment.PENDING, FirstPayment.FAILED, FirstPayment.CONFIRMED]


class World:
    """A database for one search, and a loop to reach it from Hypothesis, which is not async."""

    def __init__(self, runner: asyncio.Runner, url: str) -> None:
        self._runner = runner
        self.database = Database.at(url)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)

    def write(self, work: Callable[[AsyncConnection], Coroutine[Any, Any, Any]]) -> Any:
        return self.run(self.database.write(work))

    def begin_anew(self) -> None:
        async def work(connection: AsyncConnection) -> None:
            for table in metadata.tables.values():
                await connection.execute(delete(table))
            await head.start_history(connection)
            await deployment.bind(connection, livemode=False)

        self.write(work)

    def stored(self) -> dict[str, Subscription]:
        async def work(connection: AsyncConnection) -> list[Subscription]:
            rows = await connection.execute(select(subscription))
            return [subscriptions.from_row(row).subscription for row in rows]

        return {each.subscription_id: each for each in self.write(work)}

    def touched(self, now: datetime) -> list[str]:
        found = self.write(lambda connection: touches.due(connection, now=now, limit=99))
        return [each.customer_id for each in found]

    def is_deleted(self, customer_id: str) -> bool:
        found = self.write(lambda connection: customers.get(connection, customer_id))
        return found is not None and found.deleted


@contextmanager
def a_world(url: str) -> Iterator[World]:
    with asyncio.Runner() as runner:
        world = World(runner, url)
        yield world
        runner.run(world.database.close())


@dataclass
class Reading:
    """A read that is on its way."""

    customer_id: str
    began: datetime
    ticket: int | None
    answer: Answer | None = None


@dataclass
class History:
    """What has happened so far, at Stripe and here."""

    world: World
    #: The verifier claims a customer before it reads it, so no read overtakes another.
    one_reader: bool
    stripe: PretendStripe
    readings: list[Reading] = field(default_factory=list)
    #: Customers of whom an event was lost.
    lost: set[str] = field(default_factory=set)
    seen: dict[str, Subscription] = field(default_factory=dict)

    #: Broken on purpose by a copy below.
    ticket_is_drawn_after_the_read = False

    def go_on(self, step: "Step") -> None:
        step.happen(self)
        self.nothing_stepped_back()

    def nothing_stepped_back(self) -> None:
        stored = self.world.stored()
        for subscription_id, before in self.seen.items():
            after = stored[subscription_id]
            assert before.status not in TERMINAL or after.status in TERMINAL
            if self.one_reader and not self.stripe.stamps_late:
                assert _version(before) <= _version(after)
                assert _sureness(before) <= _sureness(after)
        self.seen = stored

    def end(self) -> None:
        """Let arrive what is left, answer the oldest read last, sweep, verify what is touched."""
        self.deliver(self.stripe.in_flight)
        while self.readings:
            self.finish(self.readings.pop())
        self.nothing_stepped_back()
        for customer_id in sorted(self.lost):
            self._touch(customer_id)
        for customer_id in self.world.touched(self.stripe.time + SECOND):
            self.finish(self.begin(customer_id))
        self.nothing_stepped_back()
        self._is_what_stripe_says()

    def _is_what_stripe_says(self) -> None:
        for customer_id in CUSTOMERS:
            is_deleted = customer_id in self.stripe.deleted
            assert self.world.is_deleted(customer_id) == is_deleted
            for said in self.stripe.all_of(customer_id):
                kept = self.seen.pop(said.subscription_id, None)
                # Of a customer who is gone Stripe tells no more than that.
                assert kept == said or (is_deleted and (kept is None or kept.status in OVER))
        assert self.seen == {}
        assert self.world.touched(self.stripe.time + SECOND) == []

    def deliver(self, events: list[Json]) -> None:
        deliveries = [a_delivery(each, received=self.stripe.time) for each in events]
        self.world.run(ingest.ingest(self.world.database, deliveries))

    def may_begin(self, customer_id: str) -> bool:
        is_claimed = any(each.customer_id == customer_id for each in self.readings)
        return not (is_claimed and self.one_reader)

    def begin(self, customer_id: str) -> Reading:
        ticket = None if self.ticket_is_drawn_after_the_read else self.world.write(head.draw)
        return Reading(customer_id=customer_id, began=self.stripe.time, ticket=ticket)

    def finish(self, reading: Reading) -> None:
        answer = reading.answer or self.stripe.read(reading.customer_id)
        read = CustomerRead(
            customer_id=reading.customer_id,
            ticket=reading.ticket or self.world.write(head.draw),
            subscriptions=answer.subscriptions,
            deleted=answer.deleted,
            account_id=None,
            as_of_start=answer.date - (self.stripe.time - reading.began) - SECOND,
            as_of_end=answer.date + SECOND,
        )
        self.world.write(lambda connection: save_read(connection, read, now=self.stripe.time))

    def _touch(self, customer_id: str) -> None:
        now = self.stripe.time

        async def work(connection: AsyncConnection) -> None:
            await customers.lock(connection, [customer_id])
            ticket = await head.draw(connection)
            await touches.touch(connection, customer_id, ticket=ticket, urgent=True, now=now)

        self.world.write(work)


def _version(stored: Subscription) -> int:
    return stored.items[0].quantity


def _sureness(stored: Subscription) -> int:
    return HOW_SURE.index(stored.first_payment)


class Step(Protocol):
    """Something that happens; nothing does where it is out of place."""

    def happen(self, history: History) -> None: ...


@dataclass(frozen=True)
class Changes:
    """A subscription changes, a few times in a row."""

    subscription_id: str
    kinds: list[str]
    pause: timedelta

    def happen(self, history: History) -> None:
        history.stripe.tick(self.pause)
        for kind in self.kinds:
            customer_id = CUSTOMER_OF[self.subscription_id]
            history.stripe.change(self.subscription_id, customer_id, kind)


@dataclass(frozen=True)
class Arrive:
    """Events arrive, counted from the newest, in one batch."""

    picks: list[int]
    again: bool = False

    def happen(self, history: History) -> None:
        in_flight = history.stripe.in_flight
        if not in_flight:
            return
        batch = [in_flight[-1 - pick % len(in_flight)] for pick in self.picks]
        history.deliver(batch)
        if not self.again:
            history.stripe.in_flight = [each for each in in_flight if each not in batch]


@dataclass(frozen=True)
class Lose:
    """An event is lost; a sweep finds its customer in the end."""

    pick: int

    def happen(self, history: History) -> None:
        in_flight = history.stripe.in_flight
        if in_flight:
            held = in_flight.pop(self.pick % len(in_flight))["data"]["object"]
            history.lost.add(held["id"] if held["object"] == "customer" else held["customer"])


@dataclass(frozen=True)
class BeginReading:
    """A read begins; Stripe answers at once, or not before the answer is saved."""

    customer_id: str
    is_answered: bool

    def happen(self, history: History) -> None:
        if not history.may_begin(self.customer_id):
            return
        reading = history.begin(self.customer_id)
        history.readings.append(reading)
        if self.is_answered:
            reading.answer = history.stripe.read(self.customer_id)


@dataclass(frozen=True)
class SaveAnswer:
    """The answer to a read is saved, some time after it was given."""

    pick: int
    pause: timedelta

    def happen(self, history: History) -> None:
        if not history.readings:
            return
        reading = history.readings.pop(self.pick % len(history.readings))
        reading.answer = reading.answer or history.stripe.read(reading.customer_id)
        history.stripe.tick(self.pause)
        history.finish(reading)


@dataclass(frozen=True)
class Crash:
    """The process dies that waits for an answer; another may claim the customer."""

    pick: int

    def happen(self, history: History) -> None:
        if history.readings:
            history.readings.pop(self.pick % len(history.readings))


@dataclass(frozen=True)
class ReadQuickly:
    """A customer is read and saved while nothing else happens."""

    customer_id: str

    def happen(self, history: History) -> None:
        if history.may_begin(self.customer_id):
            history.finish(history.begin(self.customer_id))


@dataclass(frozen=True)
class ReadMeanwhile:
    """Something changes and is told of while a customer is being read."""

    customer_id: str
    is_answered: bool
    meanwhile: list[Step]

    def happen(self, history: History) -> None:
        if not history.may_begin(self.customer_id):
            return
        reading = history.begin(self.customer_id)
        reading.answer = history.stripe.read(self.customer_id) if self.is_answered else None
        for step in self.meanwhile:
            step.happen(history)
        history.finish(reading)


class Chance:
    """Draws histories; Hypothesis alone draws small and similar ones, in which little happens."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def one_reader(self) -> bool:
        return self._maybe(0.8)

    def stamps_late(self) -> bool:
        return self._maybe(0.2)

    def history(self) -> list[Step]:
        bursts = [self._burst() for _ in range(self._random.randint(1, 4))]
        return [step for burst in bursts for step in burst]

    def _burst(self) -> list[Step]:
        """Change one subscription, and let what follows from it happen in any order."""
        subscription_id = self._random.choice(["sub_1", *CUSTOMER_OF])
        customer_id = CUSTOMER_OF[subscription_id]
        following: list[Step] = [Arrive([self._pick()]) for _ in range(self._random.randint(1, 4))]
        following += [ReadQuickly(customer_id) for _ in range(2) if self._maybe(0.5)]
        if self._maybe(0.3):
            following.append(BeginReading(customer_id, is_answered=self._maybe(0.5)))
        if self._maybe(0.3):
            following.append(SaveAnswer(self._pick(), self._pause()))
        if self._maybe(0.1):
            following.append(Crash(self._pick()))
        if self._maybe(0.7):
            meanwhile = [self._changes(subscription_id, 1), Arrive([0])]
            following.append(ReadMeanwhile(customer_id, self._maybe(0.7), meanwhile))
        if self._maybe(0.3):
            following.append(Arrive([self._pick() for _ in range(3)], again=self._maybe(0.5)))
        if self._maybe(0.1):
            following.append(Lose(self._pick()))
        self._random.shuffle(following)
        return [self._changes(subscription_id, self._random.randint(1, 4)), *following]

    def _changes(self, subscription_id: str, number: int) -> Step:
        return Changes(subscription_id, self._random.choices(KINDS, k=number), self._pause())

    def _pick(self) -> int:
        return self._random.randint(0, 99)

    def _pause(self) -> timedelta:
        return self._random.choice([0, 0, 0.3, 1, 2]) * SECOND

    def _maybe(self, chance: float) -> bool:
        return self._random.random() < chance


@dataclass(frozen=True)
class Plan:
    """A history that may happen."""

    one_reader: bool
    stamps_late: bool
    steps: list[Step]

    @classmethod
    def by_chance(cls, seed: int) -> "Plan":
        chance = Chance(seed)
        return cls(
            one_reader=chance.one_reader(),
            stamps_late=chance.stamps_late(),
            steps=chance.history(),
        )


def is_well_in_the_end(world: World, plan: Plan) -> None:
    world.begin_anew()
    stripe = PretendStripe(stamps_late=plan.stamps_late)
    history = History(world, one_reader=plan.one_reader, stripe=stripe)
    for step in plan.steps:
        history.go_on(step)
    history.end()


plans = st.integers(0, 2**32).map(Plan.by_chance)


def search(world: World, *, examples: int) -> None:
    """Look for a history after which something else is stored than Stripe says."""

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(plans)
    def all_is_well(plan: Plan) -> None:
        is_well_in_the_end(world, plan)

    all_is_well()


def test_what_is_stored_becomes_what_stripe_says_on_sqlite(sqlite_url: str) -> None:
    with a_world(sqlite_url) as world:
        search(world, examples=60)
    assert world.database.dialect == "sqlite"


def test_what_is_stored_becomes_what_stripe_says_on_postgresql(postgresql_url: str) -> None:
    with a_world(postgresql_url) as world:
        search(world, examples=20)
    assert world.database.dialect == "postgresql"


Break = Callable[[pytest.MonkeyPatch], object]


def no_fence(patch: pytest.MonkeyPatch) -> None:
    """A read is saved whatever was saved since it began."""
    lock = customers.lock

    async def forgetful(*arguments: Any) -> dict[str, customers.Customer]:
        return {
            name: replace(locked, saved_ticket=0)
            for name, locked in (await lock(*arguments)).items()
        }

    patch.setattr(verification.customers, "lock", forgetful)


def events_do_not_fence_reads(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(UnitOfWork, "fence", lambda *_arguments: None)


def ticket_drawn_after_the_read(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(History, "ticket_is_drawn_after_the_read", True)


def touch_cleared_by_an_older_verify(patch: pytest.MonkeyPatch) -> None:
    clear = touches.clear

    async def clear_all(connection: AsyncConnection, customer_id: str, *, up_to: int) -> None:
        await clear(connection, customer_id, up_to=up_to + 1_000_000)

    patch.setattr(verification.touches, "clear", clear_all)


def what_is_not_saved_is_not_touched(patch: pytest.MonkeyPatch) -> None:
    touch = UnitOfWork.touch

    def only_saved(work: UnitOfWork, changed: touches.Changed) -> None:
        if not changed.urgent:
            touch(work, changed)

    patch.setattr(UnitOfWork, "touch", only_saved)


def ties_saved(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rule_one, "follows", lambda *_arguments: True)


def terminal_not_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rule_one, "TERMINAL", frozenset())


def last_arrival_wins(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rule_one, "_beside_last_event", lambda *_arguments: Verdict.SAVE)


def events_not_compared_with_reads(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rule_one, "_beside_last_read", lambda *_arguments: Verdict.SAVE)


def events_within_a_read_saved(patch: pytest.MonkeyPatch) -> None:
    beside = rule_one._beside_last_read

    def save_when_in_doubt(*arguments: Any) -> Verdict:
        verdict = beside(*arguments)
        return Verdict.SAVE if verdict is Verdict.ASK else verdict

    patch.setattr(rule_one, "_beside_last_read", save_when_in_doubt)


def removals_unfenced(patch: pytest.MonkeyPatch) -> None:
    """A subscription's items are saved as they come, also where the rest of it is not."""

    def with_its_items(work: UnitOfWork, content: apply.Content) -> apply.Applied:
        applied = apply._subscription(work, content)
        incoming = subscription_from_stripe(content.held)
        stored = work.subscriptions.get(incoming.subscription_id)
        if stored is not None:
            mixed = replace(stored.subscription, items=incoming.items)
            work.save(mixed, event_time=stored.event_time)
        return applied

    patch.setattr(apply, "_SUBSCRIPTION", replace(apply._SUBSCRIPTION, apply=with_its_items))


def payment_forgotten_by_a_subscriptions_event(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(apply, "merged", lambda _stored, incoming: incoming)


def what_stripe_lists_no_more_lives_on(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(verification, "_ended", lambda gone, _now: gone)


BROKEN_COPIES: list[Break] = [
    no_fence,
    events_do_not_fence_reads,
    ticket_drawn_after_the_read,
    touch_cleared_by_an_older_verify,
    what_is_not_saved_is_not_touched,
    ties_saved,
    terminal_not_kept,
    last_arrival_wins,
    events_not_compared_with_reads,
    events_within_a_read_saved,
    removals_unfenced,
    payment_forgotten_by_a_subscriptions_event,
    what_stripe_lists_no_more_lives_on,
]


@pytest.mark.parametrize("broken", BROKEN_COPIES, ids=lambda each: each.__name__)
def test_the_search_finds_what_is_wrong_with_a_broken_copy(
    broken: Break, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)

    with a_world(sqlite_url) as world, pytest.raises(AssertionError):
        go_through(world, histories=200)


def go_through(world: World, *, histories: int) -> None:
    for seed in range(histories):
        is_well_in_the_end(world, Plan.by_chance(seed))
