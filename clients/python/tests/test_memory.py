"""Memory under any order of messages, cuts, delays and clocks; and broken copies that fail."""

from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from clients.python.tests.watch_model import ACCOUNTS, FEATURES, LAG, ModelService
from clients.python.tests.watched_service import Clocks
from paidup import CacheState, Source
from paidup._cache_settings import CacheSettings
from paidup._decision import question
from paidup._held import Held
from paidup._memory import Load, Memory
from paidup._server_time import Clock
from paidup.v1 import billing_service_pb2 as pb

BOUND = 15.0
LONGEST = 60.0

ENDS = st.one_of(st.none(), st.floats(min_value=1, max_value=30))
RIGHTS = st.dictionaries(st.sampled_from(FEATURES), ENDS)


class Machine(RuleBasedStateMachine):
    """Does at random what a network, a service and clocks do, and judges every answer."""

    memory_class: type[Memory] = Memory

    @initialize(named=st.booleans())
    def begin(self, *, named: bool) -> None:
        self.clocks = Clocks()
        self.service = ModelService(self.clocks)
        cache_settings = CacheSettings(
            accounts=frozenset(ACCOUNTS) if named else None,
            max_staleness=BOUND,
            last_known_good_max_age=LONGEST,
        )
        clock = Clock(monotonic=self.clocks.monotonic, wall=self.clocks.wall)
        self.memory = self.memory_class(cache_settings, clock)
        self.load: Load | None = None
        self.answer: list[Any] | None = None

    @rule(account_id=st.sampled_from(ACCOUNTS), rights=RIGHTS)
    def change(self, account_id: str, rights: dict[str, float | None]) -> None:
        now = self.clocks.passed
        ends = {key: None if end is None else now + end for key, end in rights.items()}
        self.service.change(account_id, ends)
        self.judge()

    @rule(seconds=st.sampled_from([0.1, 1.0, 4.0, 14.0, 16.0, 61.0]))
    def let_time_pass(self, seconds: float) -> None:
        self.clocks.passed += seconds
        if self.memory.is_stalled():
            self.cut()
        self.judge()

    @rule(seconds=st.sampled_from([-86_400.0, -20.0, 20.0]))
    def jump(self, seconds: float) -> None:
        # Before a stream told the service's time, the time of day is all there is.
        if self.service.on_its_way is not None:
            self.clocks.jumped += seconds
            self.judge()

    @precondition(lambda self: self.service.on_its_way is None)
    @rule()
    def open(self) -> None:
        self.service.open(self.memory.begin_stream())

    @precondition(lambda self: self.service.on_its_way is not None)
    @rule()
    def heartbeat(self) -> None:
        self.service.heartbeat()

    @precondition(lambda self: self.service.on_its_way is not None)
    @rule(account_id=st.sampled_from(ACCOUNTS), rights=RIGHTS)
    def change_while_a_heartbeat_is_long_on_its_way(
        self, account_id: str, rights: dict[str, float | None]
    ) -> None:
        self.receive(len(self.service.on_its_way or ()))
        self.service.heartbeat()
        self.change(account_id, rights)
        self.let_time_pass(14.0)
        self.receive(1)

    @precondition(lambda self: self.service.on_its_way)
    @rule(count=st.integers(min_value=1, max_value=4))
    def receive(self, count: int) -> None:
        waiting = self.service.on_its_way
        for _ in range(min(count, len(waiting or ()))):
            assert waiting is not None
            self.memory.take(waiting.popleft())
            self.judge()

    @precondition(lambda self: self.service.on_its_way is not None)
    @rule()
    def cut(self) -> None:
        self.service.cut()
        self.memory.end_stream()

    @rule(account_id=st.sampled_from(ACCOUNTS), rights=RIGHTS)
    def lose_what_can_be_resumed(self, account_id: str, rights: dict[str, float | None]) -> None:
        self.cut()
        self.change(account_id, rights)
        self.service.gone = self.service.number
        self.open()
        self.receive(len(self.service.on_its_way or ()))

    @precondition(lambda self: self.load is None)
    @rule(account_id=st.sampled_from(ACCOUNTS))
    def ask(self, account_id: str) -> None:
        self.load = self.memory.begin_load(account_id)

    @precondition(lambda self: self.load is not None and self.answer is None)
    @rule(lagging=st.booleans())
    def answer_it(self, *, lagging: bool) -> None:
        assert self.load is not None
        self.answer = self.service.answer(
            self.load.account_id, at_least=self.load.at_least_revision, lagging=lagging
        )

    @precondition(lambda self: self.load is None)
    @rule(account_id=st.sampled_from(ACCOUNTS), rights=RIGHTS, lagging=st.booleans())
    def ask_right_after_a_change(
        self, account_id: str, rights: dict[str, float | None], *, lagging: bool
    ) -> None:
        self.change(account_id, rights)
        self.receive(len(self.service.on_its_way or ()))
        self.ask(account_id)
        self.answer_it(lagging=lagging)
        self.take_the_answer()

    @precondition(lambda self: self.answer is not None)
    @rule()
    def take_the_answer(self) -> None:
        assert self.load is not None
        assert self.answer is not None
        self.memory.finish_load(self.load, self.answer)
        self.load = self.answer = None
        self.judge()

    def judge(self) -> None:
        for account_id in ACCOUNTS:
            for feature in FEATURES:
                self._judge(account_id, feature)

    def _judge(self, account_id: str, feature: str) -> None:
        asked = question(account_id, feature, None)
        decision = self.memory.decide(asked)
        if decision is not None:
            truths = self.service.was_true(account_id, feature, within=BOUND + LAG)
            assert decision.entitled in truths, "older than its bound"
        for each in filter(None, (decision, self.memory.last_known(asked))):
            end = each.valid_until_time
            assert end is None or self.clocks.server() < end.timestamp(), "past its end"
            assert each.source is Source.MEMORY or (each.age or 0) <= LONGEST, "too old"

    def teardown(self) -> None:
        """Whatever happened, it becomes right by itself once the service is there."""
        if not hasattr(self, "memory"):
            return
        if self.service.on_its_way is None:
            self.open()
        self.service.heartbeat()
        self.receive(len(self.service.on_its_way or ()))
        if self.memory.state() is not CacheState.READY:  # all of it was long on its way
            self.cut()
            self.open()
            self.receive(len(self.service.on_its_way or ()))
        assert self.memory.state() is CacheState.READY, "does not recover"
        for account_id in ACCOUNTS:
            self._judge_recovered(account_id)

    def _judge_recovered(self, account_id: str) -> None:
        for feature in FEATURES:
            asked = question(account_id, feature, None)
            decision = self.memory.decide(asked)
            if decision is None or decision.age is None or self._rests_on_rpc(account_id):
                load = self.memory.begin_load(account_id)
                listed = self.service.answer(
                    account_id, at_least=load.at_least_revision, lagging=False
                )
                decision = self.memory.answered(asked, self.memory.finish_load(load, listed))
            truth = self.service.is_true(account_id, feature)
            assert decision.entitled is truth, "wrong after all has been told"

    def _rests_on_rpc(self, account_id: str) -> bool:
        held = self.memory.accounts.by_id.get(account_id)
        return held is not None and not held.watched


class IgnoresHeartbeats(Memory):
    def take(self, message: pb.WatchEntitlementsResponse) -> str:
        return super().take(message) if message.WhichOneof("kind") else "heartbeat"


class ResumesOneTooLate(Memory):
    def begin_stream(self) -> pb.WatchEntitlementsRequest:
        request = super().begin_stream()
        if request.resume_revision:
            request.resume_revision = f"r{int(request.resume_revision[1:]) + 1}"
        return request


class IgnoresEnds(Memory):
    def _has_ended(self, right: Any) -> bool:
        return False


class IgnoresResets(Memory):
    def forget(self) -> None:
        """Keep it."""


class NeverFindsItselfStale(Memory):
    def is_fresh(self, held: Held) -> bool:
        return True


class BelievesThatNothingTakesTime(Memory):
    def _sent(self, message: pb.WatchEntitlementsResponse) -> float:
        super()._sent(message)
        return self._now()


class TrustsTheTimeOfDay(Memory):
    def _has_ended(self, right: Any) -> bool:
        return self._wall() >= right.until

    def __init__(self, cache_settings: CacheSettings, clock: Clock) -> None:
        super().__init__(cache_settings, clock)
        self._wall = clock.wall


class TakesAnyAnswerForWatched(Memory):
    def _will_be_told(self, load: Load) -> bool:
        return True


class LetsAnAnswerReplaceWhatTheStreamTold(Memory):
    def finish_load(self, load: Load, entitlements: Any) -> Held:
        load.overtaken = False
        return super().finish_load(load, entitlements)


class AsksForNoRevision(Memory):
    def begin_load(self, account_id: str) -> Load:
        load = super().begin_load(account_id)
        load.at_least_revision = "r0"
        return load


BROKEN = [
    IgnoresHeartbeats,
    ResumesOneTooLate,
    IgnoresEnds,
    IgnoresResets,
    NeverFindsItselfStale,
    BelievesThatNothingTakesTime,
    TrustsTheTimeOfDay,
    TakesAnyAnswerForWatched,
    LetsAnAnswerReplaceWhatTheStreamTold,
    AsksForNoRevision,
]

SEARCH = settings(
    max_examples=250,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
)


def machine(memory: type[Memory]) -> type[Machine]:
    return type("Machine", (Machine,), {"memory_class": memory})


def test_no_history_makes_memory_wrong() -> None:
    run_state_machine_as_test(machine(Memory), settings=SEARCH)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_memory_is_found_out(broken: type[Memory]) -> None:
    thorough = settings(SEARCH, max_examples=2500)

    with pytest.raises(AssertionError):
        run_state_machine_as_test(machine(broken), settings=thorough)
