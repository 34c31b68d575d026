"""Whoever watches ends with what the database says, whatever was lost on the way.

A history is a list of steps: accounts change, the catalogue is edited, time passes, and
watchers connect, read slowly, lose the last messages and resume. The search is run on
broken copies too: if it found nothing there, it would prove nothing.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing_service import watch_stream
from billing_service.retention import CHANGES_KEPT
from billing_service.to_proto import entitlement_to_proto
from billing_service.watch_ends import Ends
from billing_service.watch_stream import Stream
from billing_service.watchers import Watchers
from subscription_state import accounts, catalog, changes, head, retention
from subscription_state.entitlements import decide, subjects_of
from subscription_state.model import Status
from tests.service_memory.test_freshness import (
    ACCOUNTS,
    POLICY,
    Change,
    EditCatalog,
    Pass,
    Step,
    World,
)
from tests.service_memory.watching import Held, Watcher, said

LONGEST = 10
NAMED = frozenset({"acct_1", "acct_2", "acct_never"})


class Watched(World):
    """The world of the checks, with watchers in it."""

    async def begin_anew(self) -> None:
        await super().begin_anew()
        parts = self.database, self.feed, self.checks._memory, self.checks, POLICY
        self.hubs = [Watchers(*parts, now=self.clock.now) for _ in range(2)]
        self.clients = [Watcher(self.hubs[0], each) for each in (NAMED, frozenset())]
        self.running = [asyncio.create_task(each.run()) for each in self.hubs]

    async def end(self) -> None:
        for client in self.clients:
            await client.disconnect(losing=0)
        for task in self.running:
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
        await self.feed.close()

    async def settle(self) -> None:
        """Wait until everything that has happened has been sent to all who read."""
        await self.feed.read()
        for hub in self.hubs:
            hub._look_at = self.clock.now()
            hub._woken.set()
        async with asyncio.timeout(LONGEST):
            while not all(self._is_quiet(hub) for hub in self.hubs):
                await asyncio.sleep(0.001)

    def _is_quiet(self, hub: Watchers) -> bool:
        due = hub._ends.next()
        ended = due is None or due > self.clock.now()
        idle = not (hub._pending or hub._handing_out)
        looked = not hub._streams or hub._look_at > self.clock.now()
        here = [each for each in self.clients if each.task is not None and each.watchers is hub]
        there = len(hub._streams) == len(here) and not any(each.taking for each in here)
        sent = all(each._complete and not each._waiting for each in hub._streams)
        return ended and idle and looked and there and sent

    async def told(self) -> Held:
        """Give what every account may use now, read past all that is remembered."""
        now = self.clock.now()
        async with self.database.read() as connection:
            states = await accounts.load(connection, ACCOUNTS)
            known = await catalog.load(connection)
        return {
            account_id: said(
                entitlement_to_proto(account_id, subject, decision)
                for subject in subjects_of(state, known)
                if (decision := decide(state, subject, catalog=known, policy=POLICY, now=now))
                and decision.entitled
            )
            for account_id, state in states.items()
        }


@contextmanager
def a_world(url: str) -> Iterator[Watched]:
    with asyncio.Runner() as runner:
        world = Watched(runner, url)
        yield world
        runner.run(world.database.close())


@dataclass(frozen=True)
class Connect(Step):
    """A watcher comes, for the first time or from where it was, to one of two replicas."""

    client: int
    hub: int = 0

    async def happen(self, world: Watched) -> None:
        client = world.clients[self.client]
        if client.task is not None:
            return
        client.watchers = world.hubs[self.hub]
        anew = not client.revision()
        client.connect()
        if anew and not client.account_ids:
            # From now on; what is so now, it asks for elsewhere.
            async with asyncio.timeout(LONGEST):
                while not client.revision():
                    await asyncio.sleep(0.001)
            client.known = await world.told()


@dataclass(frozen=True)
class Disconnect(Step):
    client: int
    losing: int

    async def happen(self, world: Watched) -> None:
        client = world.clients[self.client]
        client.reading.set()
        for _ in range(20):
            await asyncio.sleep(0)
        await client.disconnect(losing=self.losing)


@dataclass(frozen=True)
class HandOut(Step):
    """What has changed waits in the streams, for those who do not read."""

    async def happen(self, world: Watched) -> None:
        await world.feed.read()
        async with asyncio.timeout(LONGEST):
            while any(hub._pending or hub._handing_out for hub in world.hubs):
                await asyncio.sleep(0.001)


@dataclass(frozen=True)
class LoseHalf(Step):
    """Two accounts are sent in one go, and the second does not arrive."""

    client: int

    async def happen(self, world: Watched) -> None:
        client = world.clients[self.client]
        if client.task is None or not client.revision():
            return
        client.reading.clear()
        for account_id in ("acct_1", "acct_2"):
            await Change(account_id, Status.ACTIVE, len(client.messages) % 5 + 1).happen(world)
        await HandOut().happen(world)
        for each in world.clients:
            each.reading.set()
        await world.settle()
        await client.disconnect(losing=1)


@dataclass(frozen=True)
class ReadSlowly(Step):
    """A watcher takes no message until it reads again."""

    client: int
    reads: bool

    async def happen(self, world: Watched) -> None:
        client = world.clients[self.client]
        if client.task is None or (client.revision() and self.reads):
            client.reading.set()
        elif client.revision():
            client.reading.clear()


@dataclass(frozen=True)
class Settle(Step):
    async def happen(self, world: Watched) -> None:
        for client in world.clients:
            client.reading.set()
        await world.settle()
        told = await world.told()
        for client in world.clients:
            if client.task is not None:
                client_is_right(client, told)


def client_is_right(client: Watcher, told: Held) -> None:
    held = client.held()
    complete = client.account_ids or (() if client.was_reset() else ACCOUNTS)
    assert held.keys() >= set(complete)
    assert held == {account_id: told[account_id] for account_id in held}


@dataclass(frozen=True)
class Hear(Step):
    """The feed is looked at, and what it tells begins to be handed out."""

    turns: int

    async def happen(self, world: Watched) -> None:
        await world.feed.read()
        for _ in range(self.turns):
            await asyncio.sleep(0)


@dataclass(frozen=True)
class Retain(Step):
    """Old changes are dropped; who was away for longer missed some."""

    async def happen(self, world: Watched) -> None:
        async def work(connection: Any) -> None:
            await retention.drop_changes(connection, before=world.clock.now() - CHANGES_KEPT)

        await world.database.write(work)


@dataclass(frozen=True)
class Restore(Step):
    """The database begins a new history."""

    async def happen(self, world: Watched) -> None:
        await world.database.write(head.start_history)
        await world.note()


class Chance:
    """Draws histories."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def history(self) -> list[Step]:
        steps = [self._step() for _ in range(self._random.randint(10, 30))]
        return [Connect(0), Connect(1), *steps, Connect(0), Connect(1), Settle()]

    def _step(self) -> Step:
        draw = self._random
        client = draw.randint(0, 1)
        status = draw.choice([Status.ACTIVE, Status.TRIALING, Status.PAST_DUE])
        choices: list[tuple[Step, int]] = [
            (Change(draw.choice(ACCOUNTS[:3]), status, draw.randint(1, 6)), 10),
            (EditCatalog((draw.choice(["reports", "chat"]),)), 2),
            (Pass(draw.choice([0.5, 1, 2, 4, 4, 100_000])), 3),
            (Hear(draw.choice([0, 1, 3, 10])), 4),
            (Connect(client, draw.randint(0, 1)), 5),
            (Disconnect(client, draw.choice([0, 0, 1, 2])), 4),
            (ReadSlowly(client, draw.random() < 0.5), 4),
            (LoseHalf(client), 2),
            (Settle(), 2),
            (Retain(), 2),
            (Restore(), 1 if draw.random() < 0.2 else 0),
        ]
        return draw.choices([step for step, _ in choices], [weight for _, weight in choices])[0]


async def _goes_well(world: Watched, history: list[Step]) -> None:
    await world.begin_anew()
    try:
        for step in history:
            await step.happen(world)
    finally:
        await world.end()


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have heartbeats come all the time: each may be the last that arrives."""
    monkeypatch.setattr(watch_stream, "HEARTBEAT", timedelta(milliseconds=1))
    monkeypatch.setattr(watch_stream, "PORTION", 2)


def search(world: Watched, *, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**32).map(Chance))
    def all_is_well(chance: Chance) -> None:
        world.run(_goes_well(world, chance.history()))

    all_is_well()


def test_no_watcher_misses_anything_on_sqlite(sqlite_url: str) -> None:
    with a_world(sqlite_url) as world:
        search(world, examples=30)
    assert world.database.dialect == "sqlite"


def test_no_watcher_misses_anything_on_postgresql(postgresql_url: str) -> None:
    with a_world(postgresql_url) as world:
        search(world, examples=10)
    assert world.database.dialect == "postgresql"


Break = Callable[[pytest.MonkeyPatch], object]


def a_heartbeat_is_ahead_of_what_was_sent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Stream, "_through", lambda self: self._source._heard)


def every_message_of_a_burst_says_it_was_the_last(patch: pytest.MonkeyPatch) -> None:
    async def flush(self: Stream) -> None:
        self._sent = self._through()
        batch, self._waiting = self._waiting, {}
        for part in batch.values():
            await self._send(part + self._source.stamp(self._sent))

    patch.setattr(Stream, "_flush", flush)


def a_beginning_claims_to_be_whole(patch: pytest.MonkeyPatch) -> None:
    begin = Stream._begin

    async def too_early(self: Stream) -> None:
        self._complete = True
        await begin(self)

    patch.setattr(Stream, "_begin", too_early)


#: Numbers that one change takes: its read's ticket, and its own.
OF_ONE_CHANGE = 2


def resumed_too_late(patch: pytest.MonkeyPatch) -> None:
    after, resume = changes.after, Watchers.changed_since
    # Only who resumes: the feed asks the same, at the same time.
    skipped: ContextVar[int] = ContextVar("skipped", default=0)

    async def later(connection: Any, number: int, **more: Any) -> tuple[str, ...]:
        return await after(connection, number + skipped.get(), **more)

    async def changed_since(self: Watchers, revision: Any) -> set[str] | None:
        token = skipped.set(OF_ONE_CHANGE)
        try:
            return await resume(self, revision)
        finally:
            skipped.reset(token)

    patch.setattr(changes, "after", later)
    patch.setattr(Watchers, "changed_since", changed_since)


def the_first_of_several_changes_is_kept(patch: pytest.MonkeyPatch) -> None:
    def put(self: Stream, account_id: str, part: bytes) -> None:
        self._waiting.setdefault(account_id, part)
        self._woken.set()

    patch.setattr(Stream, "put", put)


def ends_are_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ends, "take_due", lambda self, now: self._heap.clear() or set())
    patch.setattr(Watchers, "_note_or_put", _nothing)


def ends_while_away_are_ignored(patch: pytest.MonkeyPatch) -> None:
    async def none(*_arguments: Any) -> list[str]:
        return []

    patch.setattr(Watchers, "_ending_between", none)


async def _nothing(*_arguments: Any) -> None: ...


def what_was_dropped_is_not_missed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(changes, "is_gap", lambda *_arguments, **_more: False)


BROKEN_COPIES: list[Break] = [
    a_heartbeat_is_ahead_of_what_was_sent,
    every_message_of_a_burst_says_it_was_the_last,
    a_beginning_claims_to_be_whole,
    ends_are_ignored,
    ends_while_away_are_ignored,
    what_was_dropped_is_not_missed,
]


@pytest.mark.parametrize("broken", BROKEN_COPIES, ids=lambda each: each.__name__)
def test_the_search_finds_what_is_wrong_with_a_broken_copy(
    broken: Break, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)

    with a_world(sqlite_url) as world, pytest.raises(AssertionError):
        go_through(world, histories=150)


ACTIVE, LATE, OVER = (
    Change("acct_1", status, 2) for status in (Status.ACTIVE, Status.PAST_DUE, Status.CANCELED)
)
#: What is wrong in a history that is seldom drawn.
WRONG_IN: dict[Break, list[Step]] = {
    resumed_too_late: [
        ACTIVE, Connect(0), Settle(), Disconnect(0, losing=0), LATE, HandOut(), Connect(0), Settle()
    ],
    the_first_of_several_changes_is_kept: [
        Connect(0), Settle(), ReadSlowly(0, reads=False),
        ACTIVE, HandOut(), LATE, HandOut(), OVER, HandOut(), Settle(),
    ],
}  # fmt: skip


@pytest.mark.parametrize("broken", WRONG_IN, ids=lambda each: each.__name__)
def test_a_history_that_goes_well_is_wrong_with_a_broken_copy(
    broken: Break, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_world(sqlite_url) as world:
        world.run(_goes_well(world, WRONG_IN[broken]))
        broken(monkeypatch)

        with pytest.raises(AssertionError):
            world.run(_goes_well(world, WRONG_IN[broken]))


def go_through(world: Watched, *, histories: int) -> None:
    for seed in range(histories):
        world.run(_goes_well(world, Chance(seed).history()))
