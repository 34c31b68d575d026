"""Tokens in files that are renewed while a client is at work, over genuine TLS."""

import asyncio
from typing import Any

import grpc
import pytest

from clients.python.tests.cache_twins import CACHES, HASTE, Recorder, until
from clients.python.tests.proofs import Secrets, ask, asking_for_tokens, bare
from clients.python.tests.twins import CLIENTS, Client
from clients.python.tests.watched_service import START, Clocks, message
from paidup import CacheState, TlsFiles, Unauthenticated
from paidup._bearer import Bearer
from paidup._endpoint import Endpoint
from paidup._server_time import Clock


async def test_a_renewed_token_is_used(client_class: Any, secrets: Secrets) -> None:
    secrets.put(secrets.token, b"first\n")
    tls = TlsFiles(ca=secrets.ca)
    async with (
        asking_for_tokens("first") as service,
        client_class(service.address, tls=tls, token_file=str(secrets.token)) as client,
    ):
        await ask(client)
        secrets.put(secrets.token, b"second\n")
        service.token = "second"

        refused = await refusals(client)
        assert len(service.received) == 2

    # The file is looked at once a second, so the old one may have been sent once more.
    assert {each.code for each in refused} <= {grpc.StatusCode.UNAUTHENTICATED}
    assert "first" not in "".join(map(str, refused))


async def refusals(client: Client) -> list[Unauthenticated]:
    """Call until one is let in; return how the others were refused."""
    refused: list[Unauthenticated] = []
    async with asyncio.timeout(20):
        while True:
            try:
                await ask(client)
            except Unauthenticated as error:
                refused.append(error)
            else:
                return refused


@pytest.mark.parametrize("content", [b"", b"\n", "sécret".encode(), b"sec\nret", None])
async def test_a_token_that_is_lost_is_told_and_the_last_one_is_kept(
    client_class: Any, secrets: Secrets, content: bytes | None, warnings: pytest.LogCaptureFixture
) -> None:
    secrets.put(secrets.token, b"first\n")
    async with (
        asking_for_tokens("first") as service,
        client_class(
            service.address, tls=TlsFiles(ca=secrets.ca), token_file=secrets.token
        ) as client,
    ):
        await ask(client)
        if content is None:
            secrets.lose("token")
        else:
            secrets.put(secrets.token, content)
        async with asyncio.timeout(20):
            while "kept" not in warnings.text:
                await ask(client)

    assert str(secrets.token) in warnings.text
    assert "ret" not in warnings.text.replace("secrets", "")
    assert "first" not in warnings.text


@pytest.mark.parametrize("content", [b"", b"sec\nret", None])
async def test_at_the_start_a_token_has_to_be_there(
    client_class: Any, secrets: Secrets, content: bytes | None
) -> None:
    if content is not None:
        secrets.put(secrets.token, content)

    with pytest.raises((OSError, ValueError), match=str(secrets.token)) as refused:
        client_class("localhost:1", token_file=secrets.token)

    assert "sec\n" not in str(refused.value)


def test_a_token_from_a_file_is_not_shown(secrets: Secrets) -> None:
    secrets.put(secrets.token, b"s3cret\n")
    endpoint = Endpoint(address="localhost:1", token_file=secrets.token)

    bearer = Bearer(endpoint)

    assert bearer.metadata() == (("authorization", "Bearer s3cret"),)
    assert "s3cret" not in repr(bearer) + repr(endpoint)


@pytest.mark.parametrize("kind", CACHES)
async def test_a_cache_that_is_not_let_in_goes_stale_says_so_and_goes_on_trying(
    kind: str, secrets: Secrets
) -> None:
    secrets.put(secrets.token, b"first\n")
    settings = {"tls": TlsFiles(ca=secrets.ca), "token_file": secrets.token}
    recorder, clocks = Recorder(), Clocks()
    clock = Clock(monotonic=clocks.monotonic, wall=clocks.wall)
    async with (
        asking_for_tokens("first") as service,
        CLIENTS[kind](service.address, **settings) as client,
        CACHES[kind](bare(client), pace=HASTE, observer=recorder, clock=clock) as cache,
    ):
        stream = await service.streams.get()
        stream.send(message(START, "r1"))
        await cache.wait_until_ready()

        service.token = "second"
        stream.end(grpc.StatusCode.UNAUTHENTICATED)
        await until(lambda: len(recorder.errors) > 2)
        assert {type(error) for _, error in recorder.errors} == {Unauthenticated}
        clocks.passed = 20
        await until(lambda: cache.state is CacheState.STALE)
        assert not await cache.check("acme", feature="api_access")

        secrets.put(secrets.token, b"second\n")
        again = await service.streams.get()
        again.send(message(START + 20, "r2"))
        await cache.wait_until_ready()

    assert recorder.states[-3:] == [CacheState.READY, CacheState.STALE, CacheState.READY]
