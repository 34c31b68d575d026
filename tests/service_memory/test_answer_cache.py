"""An answer that is given again in the same bytes is the one that would be given anew.

The histories are those of `test_freshness`, but checks come in bytes, and the same few come
again and again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import grpc
import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing_service import answer_cache
from billing_service.answer_cache import AnswerCache, answer_caches
from billing_service.checks import Checks
from billing_service.feed import Feed
from billing_service.memory import Memory
from billing_service.servicer import BillingServicer
from billing_service.to_proto import entitlement_to_proto
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1.entitlement_pb2 import Consistency
from subscription_state.entitlements import Subject
from subscription_state.model import Status
from subscription_state.revision import Revision
from tests.service_memory.test_freshness import (
    SUBJECTS,
    Ask,
    Chance,
    Change,
    Look,
    Step,
    World,
)

REPORTS = SUBJECTS[0]
CHECK, BATCH = "CheckEntitlement", "BatchCheckEntitlements"
REQUESTS = {CHECK: pb.CheckEntitlementRequest, BATCH: pb.BatchCheckEntitlementsRequest}


class Served(World):
    """The same, asked in bytes, as gRPC does it."""

    async def begin_anew(self) -> None:
        await super().begin_anew()
        self.caches = answer_caches(self.feed, self.feed._memory, now=self.clock.now)
        self.servicer = Counting(self.checks)
        self._handlers = {
            method: cache.around(
                grpc.unary_unary_rpc_method_handler(
                    getattr(self.servicer, method), request_deserializer=REQUESTS[method].FromString
                )
            )
            for method, cache in self.caches.items()
        }

    async def call(self, method: str, data: bytes) -> bytes:
        handler = self._handlers[method]
        answer: bytes = await handler.unary_unary(handler.request_deserializer(data), NoDeadline())
        return answer


class NoDeadline:
    """The little of a call's context that checks ask for."""

    def time_remaining(self) -> None:
        return None


class Counting(BillingServicer):
    """Counts the checks that are decided anew."""

    def __init__(self, checks: Checks) -> None:
        self._checks = checks
        self.decided = 0
        self.before_answering: Callable[[], Awaitable[None]] | None = None

    async def CheckEntitlement(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.decided += 1
        answer = await super().CheckEntitlement(request, context)
        happen, self.before_answering = self.before_answering, None
        if happen is not None:
            await happen()
        return answer

    async def BatchCheckEntitlements(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.decided += 1
        return await super().BatchCheckEntitlements(request, context)


@contextmanager
def a_served_world(url: str) -> Iterator[Served]:
    with asyncio.Runner() as runner:
        world = Served(runner, url)
        yield world
        runner.run(world.database.close())


@dataclass(frozen=True)
class Told:
    """What was answered."""

    entitlements: list[Any]
    revision: Revision


@dataclass(frozen=True)
class Call(Ask):
    """Some accounts are asked about by a caller: one alone, or several in a batch."""

    async def answer(self, world: World) -> Any:
        assert isinstance(world, Served)
        consistency = await self._consistency(world)
        if len(self.pairs) == 1:
            request = pb.CheckEntitlementRequest(**_named(*self.pairs[0]), consistency=consistency)
            data = await world.call(CHECK, request.SerializeToString())
            one = pb.CheckEntitlementResponse.FromString(data)
            return Told([one.entitlement], Revision.parse(one.revision))
        checks = [pb.BatchCheckEntitlementsRequest.Check(**_named(*pair)) for pair in self.pairs]
        batch = pb.BatchCheckEntitlementsRequest(checks=checks, consistency=consistency)
        data = await world.call(BATCH, batch.SerializeToString())
        many = pb.BatchCheckEntitlementsResponse.FromString(data)
        return Told(list(many.entitlements), Revision.parse(many.revision))

    def judge(self, world: World, answer: Any) -> None:
        truths = world.permitted(answer.revision, now=world.clock.seconds)
        assert answer.entitlements in [self._written(world, truth) for truth in truths]

    def _written(self, world: World, truth: Any) -> list[Any]:
        decisions = self._decided(world, truth)
        return [
            entitlement_to_proto(*pair, decision)
            for pair, decision in zip(self.pairs, decisions, strict=True)
        ]

    async def _consistency(self, world: Served) -> Consistency | None:
        wanted = await self._wanted(world)
        if wanted.at_least:
            return Consistency(at_least_revision=wanted.at_least)
        return Consistency(fully_consistent=True) if wanted.fully_consistent else None


def _named(account_id: str, subject: Subject) -> dict[str, str]:
    if subject.feature:
        return {"account_id": account_id, "feature": subject.feature}
    return {"account_id": account_id, "product_id": subject.product_id}


#: Few, so that they come again.
CALLS = [
    Call((("acct_1", REPORTS),)),
    Call((("acct_1", SUBJECTS[2]),)),
    Call((("acct_2", REPORTS),)),
    Call((("acct_1", REPORTS), ("acct_2", REPORTS))),
    Call((("acct_1", REPORTS),), fully_consistent=True),
    Call((("acct_1", REPORTS),), at_least_latest=True),
    Call((("acct_never", REPORTS),)),
    Call((("acct_3", REPORTS),)),
]


@dataclass(frozen=True)
class SetTheClock(Step):
    """The wall's clock is put forward, or back."""

    seconds: float

    async def happen(self, world: World) -> None:
        world.clock.ahead += self.seconds


class Callers(Chance):
    """Draws histories of a few requests; now and then the clock is set."""

    def _pass(self) -> Step:
        if self._random.random() < 0.2:
            return SetTheClock(self._random.choice([-3, 3]))
        return super()._pass()

    def _ask(self) -> Step:
        return self._random.choices(CALLS, [8, 4, 4, 4, 1, 1, 1, 1])[0]


async def _goes_well(world: Served, history: list[Step]) -> None:
    await world.begin_anew()
    for step in history:
        await step.happen(world)
    await Look().happen(world)
    for each in CALLS * 2:
        await each.happen(world)


def test_no_answer_in_bytes_is_wrong_or_too_old(sqlite_url: str) -> None:
    with a_served_world(sqlite_url) as world:

        @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.integers(0, 2**32).map(Callers))
        def all_is_well(chance: Callers) -> None:
            world.run(_goes_well(world, chance.history()))

        all_is_well()


Break = Callable[[pytest.MonkeyPatch], object]


def _without(patch: pytest.MonkeyPatch, **fields: Any) -> None:
    """Have answers hold as if these were so."""
    holds = AnswerCache._holds

    def holding(self: AnswerCache, answer: Any) -> bool:
        changed = {name: value(self, answer) for name, value in fields.items()}
        return holds(self, replace(answer, **changed))

    patch.setattr(AnswerCache, "_holds", holding)


def an_account_may_change(patch: pytest.MonkeyPatch) -> None:
    _without(patch, accounts=lambda _self, _answer: {})


def only_the_first_account_counts(patch: pytest.MonkeyPatch) -> None:
    _without(patch, accounts=lambda _self, answer: dict(list(answer.accounts.items())[:1]))


def the_catalogue_may_change(patch: pytest.MonkeyPatch) -> None:
    _without(patch, catalog=lambda self, _answer: self._memory.catalog)


def an_end_is_ignored(patch: pytest.MonkeyPatch) -> None:
    _without(patch, until=lambda _self, _answer: None)


def the_clock_is_never_put_back(patch: pytest.MonkeyPatch) -> None:
    _without(patch, made=lambda self, _answer: self._now())


def a_stalled_feed_is_trusted(patch: pytest.MonkeyPatch) -> None:
    holds = AnswerCache._holds

    def trusting(self: AnswerCache, answer: Any) -> bool:
        with pytest.MonkeyPatch.context() as meanwhile:
            meanwhile.setattr(Feed, "is_fresh", lambda _feed: True)
            return holds(self, answer)

    patch.setattr(AnswerCache, "_holds", trusting)


def a_read_leaves_the_position_as_it_is(patch: pytest.MonkeyPatch) -> None:
    take = Memory.take

    def taking(self: Memory, news: Any, states: Any) -> Any:
        before = self.position
        view = take(self, news, states)
        if before is not None and before.revision == news.position.revision:
            self.position = before
        return view

    patch.setattr(Memory, "take", taking)


def a_revision_is_kept_with_the_answer(patch: pytest.MonkeyPatch) -> None:
    encoded = AnswerCache._encoded_revision

    def first(self: AnswerCache) -> bytes:
        return self._revision or encoded(self)

    patch.setattr(AnswerCache, "_encoded_revision", first)


BROKEN_COPIES: list[Break] = [
    an_account_may_change,
    only_the_first_account_counts,
    the_catalogue_may_change,
    an_end_is_ignored,
    the_clock_is_never_put_back,
    a_stalled_feed_is_trusted,
    a_read_leaves_the_position_as_it_is,
    a_revision_is_kept_with_the_answer,
]


@pytest.mark.parametrize("broken", BROKEN_COPIES, ids=lambda each: each.__name__)
def test_the_search_finds_what_is_wrong_with_a_broken_copy(
    broken: Break, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)

    with a_served_world(sqlite_url) as world, pytest.raises(AssertionError):
        _go_through(world, histories=150)


def _go_through(world: Served, *, histories: int) -> None:
    for seed in range(histories):
        world.run(_goes_well(world, Callers(seed).history()))


@pytest.fixture
def world(sqlite_url: str) -> Iterator[Served]:
    with a_served_world(sqlite_url) as world:
        world.run(world.begin_anew())
        yield world


def _happen(world: Served, *steps: Step) -> None:
    async def all_of_them() -> None:
        for step in steps:
            await step.happen(world)

    world.run(all_of_them())


ONE, ANOTHER, BOTH = CALLS[1], CALLS[0], CALLS[3]
ACTIVE = [Change("acct_1", Status.ACTIVE, 1), Change("acct_2", Status.ACTIVE, 1)]


@pytest.mark.parametrize("call", [ONE, BOTH])
def test_what_is_asked_again_is_decided_once(world: Served, call: Call) -> None:
    _happen(world, *ACTIVE, Look(), call, call)
    before = world.servicer.decided

    _happen(world, call, call, call)

    assert world.servicer.decided == before


def test_another_accounts_change_lets_an_answer_hold(world: Served) -> None:
    _happen(world, *ACTIVE, Look(), ONE, ONE)
    before = world.servicer.decided

    _happen(world, Change("acct_2", Status.PAST_DUE, 3), Look(), ONE)

    assert world.servicer.decided == before


def test_an_answer_on_its_way_while_its_account_changes_is_not_kept(world: Served) -> None:
    _happen(world, *ACTIVE, Look(), ANOTHER)

    async def change() -> None:
        await Change("acct_1", Status.PAST_DUE, -3).happen(world)
        await Look().happen(world)
        await ANOTHER.happen(world)  # so that the account is remembered again

    world.servicer.before_answering = change
    world.run(ONE.answer(world))
    assert world.servicer.before_answering is None

    _happen(world, ONE)


def test_requests_are_bounded_in_number_and_in_bytes(
    world: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = world.caches["CheckEntitlement"]
    monkeypatch.setattr(answer_cache, "MOST", 3)
    _happen(world, *(Call((("acct_1", Subject(feature=end)),)) for end in "abcde"))
    assert len(cache._asked) == 2

    monkeypatch.setattr(answer_cache, "MOST_BYTES", 100)
    _happen(world, *(Call((("acct_1", Subject(feature=end * 40)),)) for end in "abc"))
    assert sum(map(len, cache._asked)) == cache._size <= 100


def test_bytes_that_are_no_message_are_refused_each_time(world: Served) -> None:
    for _ in range(2):
        with pytest.raises(DecodeError):
            world.run(world.call(CHECK, b"\xff\xff"))
