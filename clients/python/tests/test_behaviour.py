"""The cases that clients of every language pass, played to both of Python's caches."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from clients.python.tests.cache_twins import CACHES, HASTE, Cache, Recorder, until
from clients.python.tests.scripted_service import Failure, running
from clients.python.tests.watched_service import (
    Clocks,
    Stream,
    WatchedService,
    entitlement,
    message,
    of_account,
)
from paidup import Decision
from paidup._server_time import Clock
from paidup.v1 import billing_service_pb2 as pb

CASES = json.loads((Path(__file__).parents[2] / "behaviour/entitlement_cache.json").read_text())


class Player:
    """Plays a case's steps."""

    def __init__(
        self, service: WatchedService, cache: Cache, clocks: Clocks, heard: Recorder
    ) -> None:
        self._service = service
        self._cache = cache
        self._clocks = clocks
        self._heard = heard
        self._stream: Stream

    async def play(self, step: dict[str, Any]) -> None:
        [(name, argument)] = step.items()
        steps: dict[str, Callable[[Any], Awaitable[None]]] = {
            "stream": self._await_stream,
            "send": self._send,
            "end": self._end,
            "advance": self._advance,
            "jump": self._jump,
            "service": self._set_lists,
            "state": self._compare_state,
            "peek": self._peek,
            "check": self._check,
            "eventually": self._eventually,
        }
        await steps[name](argument)

    async def _await_stream(self, expected: dict[str, Any]) -> None:
        async with asyncio.timeout(20):
            self._stream = await self._service.streams.get()
        assert list(self._stream.request.account_ids) == expected["account_ids"]
        assert self._stream.request.resume_revision == expected["resume_revision"]

    async def _send(self, what: dict[str, Any]) -> None:
        received = len(self._heard.messages)
        sent = self._clocks.server() - what.get("sent_ago", 0)
        self._stream.send(message(sent, what["revision"], **_kind(what)))
        await until(lambda: len(self._heard.messages) == received + 1)

    async def _end(self, code: str) -> None:
        ended = len(self._heard.errors)
        self._stream.end(grpc.StatusCode[code])
        await until(lambda: len(self._heard.errors) > ended)

    async def _advance(self, seconds: float) -> None:
        self._clocks.passed += seconds

    async def _jump(self, seconds: float) -> None:
        self._clocks.jumped += seconds

    async def _set_lists(self, answers: dict[str, Any]) -> None:
        for account_id, answer in answers.items():
            self._service.lists[account_id] = (
                Failure(code=grpc.StatusCode[answer])
                if isinstance(answer, str)
                else [entitlement(account_id, **each) for each in answer]
            )

    async def _compare_state(self, expected: str) -> None:
        assert self._cache.state == expected

    async def _peek(self, expected: dict[str, Any]) -> None:
        subject = _subject(expected)
        decision = self._cache.peek(expected["account"], **subject)
        assert _seen(decision) == (expected["entitled"], expected["source"])
        assert self._cache.entitled(expected["account"], **subject) is expected["entitled"]

    async def _check(self, expected: dict[str, Any]) -> None:
        listed = len(self._service.listed)
        decision = await self._cache.check(expected["account"], **_subject(expected))
        assert _seen(decision) == (expected["entitled"], expected["source"])
        if expected["source"] == "rpc":
            [asked] = self._service.listed[listed:]
            assert asked.consistency.at_least_revision == expected["at_least"]

    async def _eventually(self, expected: dict[str, Any]) -> None:
        subject = _subject(expected)
        wanted = (expected["entitled"], expected["source"])
        await until(lambda: _seen(self._cache.peek(expected["account"], **subject)) == wanted)


def _seen(decision: Decision) -> tuple[bool, str]:
    return decision.entitled, decision.source.value


def _subject(step: dict[str, Any]) -> dict[str, str]:
    return {key: step[key] for key in ("feature", "product_id") if key in step}


def _kind(what: dict[str, Any]) -> dict[str, Any]:
    if "account" in what:
        rights = [entitlement(what["account"], **each) for each in what["entitlements"]]
        return {"account": of_account(what["account"], rights)}
    if "reset" in what:
        return {"reset": pb.WatchEntitlementsResponse.Reset()}
    if "goodbye" in what:
        delay = what["goodbye"]
        return {"goodbye": pb.WatchEntitlementsResponse.Goodbye(retry_delay_millis=delay)}
    return {}


@pytest.mark.parametrize("cache_class", CACHES.values(), ids=CACHES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"].replace(" ", "_"))
async def test_the_cache_behaves_as(case: dict[str, Any], cache_class: Any) -> None:
    clocks, heard = Clocks(), Recorder()
    clock = Clock(monotonic=clocks.monotonic, wall=clocks.wall)
    async with (
        running(service_class=WatchedService) as service,
        cache_class(
            service.address, **case["settings"], observer=heard, clock=clock, pace=HASTE
        ) as cache,
    ):
        player = Player(service, cache, clocks, heard)
        for step in case["steps"]:
            await player.play(step)


def test_cases_have_names_of_their_own() -> None:
    names = [case["name"] for case in CASES]

    assert len(names) == len(set(names)) >= 25
