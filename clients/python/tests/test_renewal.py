"""Certificates that are renewed while a client is at work, over genuine TLS."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from clients.python.tests.cache_twins import CACHES, HASTE, Recorder, until
from clients.python.tests.proofs import (
    CALLERS,
    LATER_CALLERS,
    SERVERS,
    Secrets,
    ask,
    bare,
    exclusive,
)
from clients.python.tests.scripted_service import ScriptedService, Silence, running
from clients.python.tests.twins import ADMIN_CLIENTS, CLIENTS, Client
from clients.python.tests.watched_service import START, WatchedService, message
from paidup import TlsFiles, Unavailable
from paidup._certificates import certificates_in


@pytest.fixture
async def service() -> AsyncIterator[ScriptedService]:
    async with running(exclusive(CALLERS)) as service:
        yield service


async def called_as(service: ScriptedService, client: Client, name: str) -> int:
    """Call until the service sees this caller; return how many calls that took. None may fail."""
    async with asyncio.timeout(20):
        for calls in range(1, 1_000_000):
            await ask(client)
            if service.received[-1].caller == name:
                return calls
    raise AssertionError


def open_lines(client: Client) -> int:
    lines = bare(client)._lines  # noqa: SLF001 - nothing else tells what is kept open
    return 1 + len(lines._retired) + (lines._next is not None)  # noqa: SLF001 - likewise


# How one is known.


async def test_certificates_come_from_files(
    service: ScriptedService, client_class: Any, secrets: Secrets
) -> None:
    async with client_class(service.address, tls=secrets.tls) as client:
        await ask(client)

    assert [received.caller for received in service.received] == ["first"]


@pytest.mark.parametrize("kind", ADMIN_CLIENTS)
async def test_administrators_prove_themselves_alike(
    service: ScriptedService, secrets: Secrets, kind: str
) -> None:
    secrets.put(secrets.token, b"secret\n")
    settings = {"tls": secrets.tls, "token_file": secrets.token}

    async with ADMIN_CLIENTS[kind](service.address, **settings) as client:
        await client.list_grants(account_id="acme")

    [received] = service.received
    assert (received.caller, received.metadata["authorization"]) == ("first", "Bearer secret")


async def test_a_server_that_others_vouch_for_is_not_called(
    service: ScriptedService, client_class: Any, secrets: Secrets
) -> None:
    secrets.put(secrets.ca, CALLERS.certificate)

    async with client_class(service.address, tls=secrets.tls) as client:
        with pytest.raises(Unavailable):
            await ask(client)

    assert service.received == []


async def test_a_server_by_another_name_is_not_called(client_class: Any, secrets: Secrets) -> None:
    elsewhere = SERVERS.issue("billing", hosts=("billing.example",))

    async with (
        running(exclusive(CALLERS, server=elsewhere)) as service,
        client_class(service.address, tls=secrets.tls) as client,
    ):
        with pytest.raises(Unavailable):
            await ask(client)

    assert service.received == []


async def test_without_a_certificate_nobody_is_let_in_who_needs_one(
    service: ScriptedService, client_class: Any, secrets: Secrets
) -> None:
    async with client_class(service.address, tls=TlsFiles(ca=secrets.ca)) as client:
        with pytest.raises(Unavailable):
            await ask(client)

    assert service.received == []


@pytest.mark.parametrize("lost", ["ca", "certificate", "key"])
async def test_files_that_are_not_there_are_named_at_the_start(
    client_class: Any, secrets: Secrets, lost: str
) -> None:
    file = secrets.lose(lost)

    with pytest.raises(FileNotFoundError, match=str(file)):
        client_class("localhost:1", tls=secrets.tls)


def spoilt(secrets: Secrets) -> Iterator[tuple[Path, bytes]]:
    other = CALLERS.issue("other")
    yield secrets.ca, b"no certificate"
    yield secrets.ca, secrets.ca.read_bytes() + secrets.ca.read_bytes()[:200]
    yield secrets.certificate, secrets.certificate.read_bytes()[:200]
    yield secrets.certificate, other.certificate
    yield secrets.key, other.key
    yield secrets.key, b""


def test_files_that_do_not_belong_together_are_refused_without_being_shown(
    secrets: Secrets,
) -> None:
    for file, content in list(spoilt(secrets)):
        whole = file.read_bytes()
        secrets.put(file, content)
        with pytest.raises(ValueError, match=str(file)) as refused:
            certificates_in(secrets.tls)
        assert "-----" not in str(refused.value)
        secrets.put(file, whole)

    assert certificates_in(secrets.tls)().root_certificates == SERVERS.certificate


# Certificates that are renewed.


async def test_renewed_certificates_are_used_and_no_call_fails(
    service: ScriptedService, client_class: Any, secrets: Secrets
) -> None:
    async with client_class(service.address, tls=secrets.tls) as client:
        for name in ("second", "third"):
            secrets.renew(CALLERS.issue(name))
            await called_as(service, client, name)

        # What was used before is not kept open.
        assert open_lines(client) == 1


@pytest.mark.parametrize("kind", CACHES)
async def test_calls_and_streams_that_have_begun_go_on(kind: str, secrets: Secrets) -> None:
    recorder = Recorder()
    async with (
        running(exclusive(CALLERS), service_class=WatchedService) as service,
        CLIENTS[kind](service.address, tls=secrets.tls) as client,
        CACHES[kind](bare(client), pace=HASTE, observer=recorder) as cache,
    ):
        service.answer("GetSessionStatus", Silence())
        slow = asyncio.create_task(client.get_session_status(account_id="acme", session_id="cs_1"))
        await service.called.wait()
        stream = await service.streams.get()
        secrets.renew(CALLERS.issue("second"))
        await called_as(service, client, "second")

        stream.send(message(START, "r1"))
        await cache.wait_until_ready()
        assert (stream.caller, recorder.errors, slow.done()) == ("first", [], False)

        # The next one is of the renewed certificate.
        stream.end(grpc.StatusCode.UNAVAILABLE)
        again = await service.streams.get()
        assert again.caller == "second"

        service.release.set()
        await slow
        await until(lambda: open_lines(client) == 1)


async def test_half_a_renewal_is_told_and_not_used(
    service: ScriptedService,
    client_class: Any,
    secrets: Secrets,
    warnings: pytest.LogCaptureFixture,
) -> None:
    second = CALLERS.issue("second")
    async with client_class(service.address, tls=secrets.tls) as client:
        await ask(client)
        secrets.put(secrets.certificate, second.certificate)
        async with asyncio.timeout(20):
            while "kept" not in warnings.text:
                await ask(client)
        assert {received.caller for received in service.received} == {"first"}

        secrets.put(secrets.key, second.key)
        await called_as(service, client, "second")

    assert str(secrets.certificate) in warnings.text
    assert "-----" not in warnings.text


async def test_what_the_service_does_not_accept_yet_is_not_used_yet(
    client_class: Any, secrets: Secrets, warnings: pytest.LogCaptureFixture
) -> None:
    async with running(exclusive(CALLERS)) as service:
        options = [("grpc.max_reconnect_backoff_ms", 100)]
        async with client_class(
            service.address, tls=secrets.tls, channel_options=options
        ) as client:
            await ask(client)
            secrets.renew(LATER_CALLERS.issue("second"))
            async with asyncio.timeout(20):
                while open_lines(client) == 1:
                    await ask(client)
            # Long enough for a connection to be refused, and to be tried again.
            for _ in range(100):
                await ask(client)
            assert {received.caller for received in service.received} == {"first"}

            secrets.renew(CALLERS.issue("third"))
            await called_as(service, client, "third")
            assert open_lines(client) == 1


async def test_a_client_without_a_connection_uses_the_renewed_ones_at_once(
    client_class: Any, secrets: Secrets
) -> None:
    async with running(exclusive(CALLERS)) as service:
        address = service.address
        async with client_class(address, tls=secrets.tls) as client:
            await ask(client)
            await service.stop()
            secrets.renew(LATER_CALLERS.issue("second"))
            async with running(exclusive(LATER_CALLERS), address=address) as successor:
                # Files are looked at once a second.
                await asyncio.sleep(1.1)
                await ask(client)

    assert [received.caller for received in successor.received] == ["second"]


async def test_certificates_that_are_not_accepted_for_long_are_worth_a_warning(
    service: ScriptedService,
    client_class: Any,
    secrets: Secrets,
    warnings: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("paidup._lines.PATIENCE", 0.1)
    async with client_class(service.address, tls=secrets.tls) as client:
        await ask(client)
        secrets.renew(LATER_CALLERS.issue("second"))
        async with asyncio.timeout(20):
            while "no connection" not in warnings.text:
                await ask(client)
        await ask(client)

    told = [each for each in warnings.records if "no connection" in each.message]
    assert [each.levelname for each in told] == ["WARNING"]


@pytest.mark.parametrize("kind", CACHES)
async def test_a_closed_client_opens_nothing(
    service: ScriptedService, secrets: Secrets, kind: str
) -> None:
    recorder = Recorder()
    async with CLIENTS[kind](service.address, tls=secrets.tls) as client:
        await ask(client)
        secrets.renew(CALLERS.issue("second"))
        await client.close()
        with pytest.raises(RuntimeError, match="client is closed"):
            await ask(client)
        with pytest.raises(RuntimeError, match="client is closed"):
            await client.wait_for_ready(timeout=1)

        # Files are looked at once a second.
        await asyncio.sleep(1.1)
        async with CACHES[kind](bare(client), pace=HASTE, observer=recorder):
            await until(lambda: bool(recorder.errors))

    assert open_lines(client) == 1
