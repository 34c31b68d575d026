"""`paidup watch` over breaks that a scripted service makes."""

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from clients.python.tests.command import LONGEST_RUN, paidup, start
from clients.python.tests.scripted_service import running
from clients.python.tests.watched_service import (
    START,
    Stream,
    WatchedService,
    entitlement,
    message,
    of_account,
)
from paidup.v1 import billing_service_pb2 as pb

ACME = of_account("acme", [entitlement(feature="api_access")])
NOTHING = of_account("acme", [])


@pytest.fixture
async def watched() -> AsyncIterator[WatchedService]:
    async with running(service_class=WatchedService) as service:
        yield service


@contextlib.asynccontextmanager
async def watching(
    service: WatchedService, *arguments: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await start("watch", *arguments, env={"PAIDUP_ADDRESS": service.address})
    try:
        async with asyncio.timeout(LONGEST_RUN):
            yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def line(stream: asyncio.StreamReader | None) -> str:
    assert stream is not None
    return (await stream.readline()).decode().rstrip("\n")


async def opened(service: WatchedService) -> Stream:
    return await service.streams.get()


async def test_changes_are_told_as_they_come_in_words(watched: WatchedService) -> None:
    async with watching(watched, "acme", "globex") as process:
        stream = await opened(watched)
        stream.send(message(START, "r1", account=ACME))
        stream.send(message(START, "r1"))  # a heartbeat, which is not told
        stream.send(message(START + 1, "r2", account=NOTHING))

        told = [await line(process.stdout), await line(process.stdout)]
        process.send_signal(signal.SIGINT)
        code = await process.wait()

    assert list(stream.request.account_ids) == ["acme", "globex"]
    assert told == [
        "2023-11-14 22:13:20  acme  api_access (ACTIVE)",
        "2023-11-14 22:13:21  acme  nothing",
    ]
    assert code == 130
    assert process.stderr is not None
    assert await process.stderr.read() == b""


async def test_changes_are_lines_of_json_that_say_where_to_resume(
    watched: WatchedService,
) -> None:
    async with watching(watched, "--json", "--resume", "r0") as process:
        stream = await opened(watched)
        stream.send(message(START, "r1", account=NOTHING))
        stream.send(message(START, "r2", reset=pb.WatchEntitlementsResponse.Reset()))
        told: list[dict[str, Any]] = [json.loads(await line(process.stdout)) for _ in range(2)]

    assert stream.request == pb.WatchEntitlementsRequest(resume_revision="r0")
    assert told == [
        {
            "kind": kind,
            "account_id": account_id,
            "entitlements": [],
            "revision": revision,
            "send_time": "2023-11-14T22:13:20Z",
        }
        for kind, account_id, revision in (("account", "acme", "r1"), ("reset", None, "r2"))
    ]


async def test_a_stream_that_breaks_is_told_and_resumed(watched: WatchedService) -> None:
    async with watching(watched, "acme") as process:
        first = await opened(watched)
        first.send(message(START, "r1", account=ACME))
        first.send(message(START, "r2"))
        first.end(grpc.StatusCode.UNAVAILABLE)
        second = await opened(watched)
        second.send(message(START, "r3", account=NOTHING))

        told = [await line(process.stdout), await line(process.stdout)]
        broken = await line(process.stderr)

    assert second.request.resume_revision == "r2"
    assert [each.rpartition("  ")[2] for each in told] == ["api_access (ACTIVE)", "nothing"]
    assert broken == "paidup: UNAVAILABLE: no"


async def test_a_stream_that_falls_silent_is_resumed(watched: WatchedService) -> None:
    async with watching(watched, "acme", "--timeout", "1") as process:
        (await opened(watched)).send(message(START, "r1", account=ACME))
        second = await opened(watched)
        broken = await line(process.stderr)

    assert second.request.resume_revision == "r1"
    assert broken == "paidup: DEADLINE_EXCEEDED: The service has been silent for 1 seconds."


async def test_a_goodbye_is_followed_by_another_stream(watched: WatchedService) -> None:
    goodbye = pb.WatchEntitlementsResponse.Goodbye(retry_delay_millis=1)
    async with watching(watched, "acme") as process:
        (await opened(watched)).send(message(START, "r1", goodbye=goodbye))
        second = await opened(watched)
        second.send(message(START, "r1", account=ACME))
        told = await line(process.stdout)

    assert second.request.resume_revision == "r1"
    assert told.endswith("api_access (ACTIVE)")


async def test_what_was_before_a_reset_is_not_resumed(watched: WatchedService) -> None:
    async with watching(watched, "acme", "--resume", "r0") as process:
        first = await opened(watched)
        first.send(message(START, "", reset=pb.WatchEntitlementsResponse.Reset()))
        first.end(grpc.StatusCode.OK)
        second = await opened(watched)
        told = await line(process.stdout)

    assert second.request.resume_revision == ""
    assert told.endswith("what was told before holds no longer.")


@pytest.mark.parametrize("code", [grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INVALID_ARGUMENT])
async def test_a_refusal_is_an_error(watched: WatchedService, code: grpc.StatusCode) -> None:
    async def refuse() -> None:
        (await opened(watched)).end(code)

    refusing = asyncio.create_task(refuse())
    ended = await paidup("watch", "acme", address=watched.address)
    await refusing

    assert (ended.code, ended.out, ended.err) == (2, "", f"paidup: {code.name}: no\n")
