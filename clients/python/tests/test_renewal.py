"""Certificates and tokens that are renewed while a client is at work, over genuine TLS."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from clients.python.tests.cache_twins import CACHES, HASTE, Recorder, until
from clients.python.tests.certificates import Authority, Certificate
from clients.python.tests.scripted_service import ScriptedService, Silence, running
from clients.python.tests.twins import ADMIN_CLIENTS, CLIENTS, AwaitableClient, Client
from clients.python.tests.watched_service import START, Clocks, WatchedService, message
from paidup import CacheState, TlsFiles, Unauthenticated, Unavailable
from paidup._bearer import Bearer
from paidup._certificates import certificates_in
from paidup._endpoint import Endpoint
from paidup._server_time import Clock

SERVERS = Authority("servers")
CALLERS = Authority("callers")
LATER_CALLERS = Authority("later callers")
SERVER = SERVERS.issue("billing")


class Secrets:
    """A folder in which a platform keeps what a caller proves itself by."""

    def __init__(self, folder: Path) -> None:
        self.token = folder / "token"
        self.ca = folder / "ca.crt"
        self.certificate = folder / "tls.crt"
        self.key = folder / "tls.key"
        self.put(self.ca, SERVERS.certificate)

    @property
    def tls(self) -> TlsFiles:
        return TlsFiles(ca=self.ca, certificate=self.certificate, key=str(self.key))

    def put(self, file: Path, content: bytes) -> None:
        other = file.with_name("renewed")
        other.write_bytes(content)
        other.rename(file)

    def lose(self, name: str) -> Path:
        file: Path = getattr(self, name)
        file.unlink()
        return file

    def renew(self, certificate: Certificate) -> None:
        self.put(self.certificate, certificate.certificate)
        self.put(self.key, certificate.key)


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    found = Secrets(tmp_path)
    found.renew(CALLERS.issue("first"))
    return found


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, logger="paidup.credentials"):
        yield caplog


def exclusive(*authorities: Authority, server: Certificate = SERVER) -> grpc.ServerCredentials:
    """Let nobody in without a certificate that one of these has issued."""
    return grpc.ssl_server_credentials(
        [(server.key, server.certificate)],
        root_certificates=b"".join(each.certificate for each in authorities),
        require_client_auth=True,
    )


@pytest.fixture
async def service() -> AsyncIterator[ScriptedService]:
    async with running(exclusive(CALLERS)) as service:
        yield service


async def ask(client: Client) -> bool:
    answer: bool = await client.entitled("acme", feature="api_access", timeout=10)
    return answer


async def called_as(service: ScriptedService, client: Client, name: str) -> int:
    """Call until the service sees this caller; return how many calls that took. None may fail."""
    async with asyncio.timeout(20):
        for calls in range(1, 1_000_000):
            await ask(client)
            if service.received[-1].caller == name:
                return calls
    raise AssertionError


def bare(client: Client) -> Any:
    return client.blocking if isinstance(client, AwaitableClient) else client


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
            with pytest.raises(Unavailable):
                await ask(client)
            async with running(exclusive(LATER_CALLERS), address=address) as successor:
                await called_as_soon_as_it_can(client)
                assert {received.caller for received in successor.received} == {"second"}


async def called_as_soon_as_it_can(client: Client) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                await ask(client)
            except Unavailable:
                continue
            return


async def test_a_closed_client_opens_nothing(
    service: ScriptedService, client_class: Any, secrets: Secrets
) -> None:
    async with client_class(service.address, tls=secrets.tls) as client:
        await ask(client)
        secrets.renew(CALLERS.issue("second"))
        await client.close()

        with pytest.raises(RuntimeError, match="client is closed"):
            await ask(client)
        with pytest.raises(RuntimeError, match="client is closed"):
            await client.wait_for_ready(timeout=1)


# Tokens that are renewed.


@asynccontextmanager
async def asking_for_tokens(token: str) -> AsyncIterator[ScriptedService]:
    """A service that knows one caller, over TLS."""
    pair = (SERVER.key, SERVER.certificate)
    async with running(grpc.ssl_server_credentials([pair]), service_class=Guarded) as service:
        service.token = token
        yield service


class Guarded(WatchedService):
    """Lets nobody in without the token of the moment."""

    token = ""

    def admits(self, context: grpc.aio.ServicerContext) -> bool:
        sent = dict(context.invocation_metadata() or ())
        return sent.get("authorization") == f"Bearer {self.token}"

    async def serve(self, rpc: str, request: Any, context: grpc.aio.ServicerContext) -> Any:
        if not self.admits(context):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "Who calls?")
        return await super().serve(rpc, request, context)

    async def ListEntitlements(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802 - named by the contract
        if not self.admits(context):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "Who calls?")
        return await super().ListEntitlements(request, context)

    async def WatchEntitlements(  # noqa: N802 - named by the contract
        self, request: Any, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[Any]:
        if not self.admits(context):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "Who calls?")
        async for each in super().WatchEntitlements(request, context):
            yield each


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
