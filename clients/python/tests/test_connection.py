import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from clients.python.tests.certificates import Certificate, make_certificate
from clients.python.tests.scripted_service import ScriptedService, Silence, running
from clients.python.tests.twins import AwaitableClient, Client
from paidup import BillingClient, Tls, TlsFiles, Unavailable
from paidup._bearer import Bearer
from paidup._endpoint import Endpoint
from paidup.v1 import billing_service_pb2 as pb

LOOPBACK = [
    "localhost:50051",
    "LOCALHOST:50051",
    "127.0.0.1:50051",
    "127.8.8.8:50051",
    "[::1]:50051",
    "dns:localhost:50051",
    "dns:///localhost:50051",
    "ipv4:127.0.0.1:50051",
    "ipv4:127.0.0.1:50051,127.0.0.1:50052",
    "ipv6:[::1]:50051",
    "unix:/run/paidup.sock",
    "unix:///run/paidup.sock",
    "unix-abstract:paidup",
]

ELSEWHERE = [
    "billing:50051",
    "10.0.0.7:50051",
    "0.0.0.0:50051",
    "[2001:db8::7]:50051",
    "::1",  # without brackets, where the port begins is anybody's guess
    "localhost.example:50051",
    "127.0.0.1.example:50051",
    "dns:///billing:50051",
    "dns://10.0.0.53/localhost:50051",
    "ipv4:127.0.0.1:50051,10.0.0.7:50051",
    "xds:///localhost:50051",
    "",
]


@pytest.fixture(scope="module")
def server_certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificates"), "billing")


@pytest.fixture(scope="module")
def caller_certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificates"), "storefront")


@pytest.fixture
async def guarded_service(server_certificate: Certificate) -> AsyncIterator[ScriptedService]:
    pair = (server_certificate.key, server_certificate.certificate)
    async with running(grpc.ssl_server_credentials([pair])) as service:
        yield service


@pytest.fixture
async def exclusive_service(
    server_certificate: Certificate, caller_certificate: Certificate
) -> AsyncIterator[ScriptedService]:
    """A service that lets nobody in without the caller's certificate."""
    credentials = grpc.ssl_server_credentials(
        [(server_certificate.key, server_certificate.certificate)],
        root_certificates=caller_certificate.certificate,
        require_client_auth=True,
    )
    async with running(credentials) as service:
        yield service


async def ask(client: Client) -> bool:
    answer: bool = await client.entitled("acme", feature="api_access", timeout=10)
    return answer


@pytest.mark.parametrize("address", LOOPBACK)
def test_loopback_is_plaintext_unless_told_otherwise(address: str) -> None:
    assert Endpoint(address=address).in_plaintext
    assert not Endpoint(address=address, tls=Tls()).in_plaintext
    assert not Endpoint(address=address, plaintext=False).in_plaintext


@pytest.mark.parametrize("address", ELSEWHERE)
def test_anything_else_is_guarded_unless_told_otherwise(address: str) -> None:
    assert not Endpoint(address=address).in_plaintext
    assert Endpoint(address=address, plaintext=True).in_plaintext


@pytest.mark.parametrize("address", ELSEWHERE)
@pytest.mark.parametrize("token", [{"token": "secret"}, {"token_file": "/run/token"}])
def test_a_token_leaves_the_machine_in_plaintext_only_if_told_so(address: str, token: Any) -> None:
    assert not Endpoint(address=address, **token).shows_token
    assert not Endpoint(address=address, tls=Tls(), **token).shows_token
    assert Endpoint(address=address, plaintext=True, **token).shows_token
    assert not Endpoint(address=address, plaintext=True).shows_token


@pytest.mark.parametrize("address", LOOPBACK)
def test_on_loopback_a_token_does_not_leave_the_machine(address: str) -> None:
    assert not Endpoint(address=address, plaintext=True, token="secret").shows_token


async def test_a_server_without_tls_gets_no_token_unless_plaintext_was_asked_for(
    service: ScriptedService, client_class: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="paidup")
    # Leads here, but is no address of this machine alone.
    address = service.address.replace("127.0.0.1", "0.0.0.0")

    async with client_class(address, token="secret") as client:
        with pytest.raises(Unavailable):
            await ask(client)
    assert service.received == []

    # As in a mesh, whose proxy encrypts.
    async with client_class(address, token="secret", plaintext=True) as client:
        await ask(client)
    assert service.received[0].metadata["authorization"] == "Bearer secret"
    assert "in plaintext, which a mesh has to encrypt" in caplog.text
    assert "secret" not in caplog.text


async def test_plaintext_and_tls_exclude_each_other(client_class: Any) -> None:
    with pytest.raises(ValueError, match="exclude"):
        client_class("billing:50051", plaintext=True, tls=Tls())


@pytest.mark.parametrize("half", [{"private_key": b"key"}, {"certificate_chain": b"chain"}])
def test_a_key_and_its_certificate_come_together(half: dict[str, bytes]) -> None:
    with pytest.raises(ValueError, match="need each other"):
        Tls(**half)


@pytest.mark.parametrize("half", [{"key": "tls.key"}, {"certificate": "tls.crt"}])
def test_the_files_of_a_key_and_its_certificate_come_together(half: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="need each other"):
        TlsFiles(**half)


def test_files_of_certificates_are_named() -> None:
    with pytest.raises(ValueError, match="Name a file"):
        TlsFiles()


async def test_a_token_is_given_in_one_way(client_class: Any) -> None:
    with pytest.raises(ValueError, match="Give a token, or the file"):
        client_class("localhost:50051", token="secret", token_file="/run/token")


def test_secrets_are_not_shown() -> None:
    tls = Tls(private_key=b"secret", certificate_chain=b"chain")

    assert "secret" not in repr(Endpoint(address="billing:50051", tls=tls, token="secret"))
    assert "secret" not in repr(Bearer(Endpoint(address="billing:50051", token="secret")))


async def test_a_trusted_server_is_called_over_tls(
    guarded_service: ScriptedService, client_class: Any, server_certificate: Certificate
) -> None:
    tls = Tls(root_certificates=server_certificate.certificate)

    async with client_class(guarded_service.address, tls=tls, token="secret") as client:
        await ask(client)

    assert guarded_service.received[0].metadata["authorization"] == "Bearer secret"


async def test_an_untrusted_server_is_not_called(
    guarded_service: ScriptedService, client_class: Any
) -> None:
    async with client_class(guarded_service.address, plaintext=False, token="secret") as client:
        with pytest.raises(Unavailable):
            await ask(client)

    assert guarded_service.received == []


async def test_a_server_is_shown_the_callers_certificate(
    exclusive_service: ScriptedService,
    client_class: Any,
    server_certificate: Certificate,
    caller_certificate: Certificate,
) -> None:
    tls = Tls(
        root_certificates=server_certificate.certificate,
        private_key=caller_certificate.key,
        certificate_chain=caller_certificate.certificate,
    )

    async with client_class(exclusive_service.address, tls=tls) as client:
        await ask(client)

    assert len(exclusive_service.received) == 1


async def test_without_that_certificate_nobody_is_let_in(
    exclusive_service: ScriptedService, client_class: Any, server_certificate: Certificate
) -> None:
    tls = Tls(root_certificates=server_certificate.certificate)

    async with client_class(exclusive_service.address, tls=tls) as client:
        with pytest.raises(Unavailable):
            await ask(client)

    assert exclusive_service.received == []


async def test_no_token_is_sent_where_none_is_given(
    service: ScriptedService, client: Client
) -> None:
    await ask(client)

    assert "authorization" not in service.received[0].metadata


async def test_each_call_sends_the_token_of_its_moment(
    service: ScriptedService, client_class: Any
) -> None:
    tokens = iter(["first", "second\n"])  # as read from a file

    async with client_class(service.address, token=lambda: next(tokens)) as client:
        await ask(client)
        await ask(client)

    sent = [received.metadata["authorization"] for received in service.received]
    assert sent == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize("token", ["", " \n", "sécret", "sec\nret"])
async def test_a_token_that_cannot_be_sent_is_refused_without_being_shown(
    service: ScriptedService, client_class: Any, token: str
) -> None:
    async with client_class(service.address, token=token) as client:
        with pytest.raises(ValueError, match="cannot carry") as raised:
            await ask(client)

    assert "ret" not in str(raised.value)
    assert service.received == []


async def test_what_the_token_function_raises_reaches_the_caller(
    service: ScriptedService, client_class: Any
) -> None:
    def no_token() -> str:
        raise FileNotFoundError("/run/secrets/token")

    async with client_class(service.address, token=no_token) as client:
        with pytest.raises(FileNotFoundError):
            await ask(client)


async def test_a_proxy_in_the_environment_is_not_asked_for_the_way_to_loopback(
    service: ScriptedService, client_class: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")

    async with client_class(service.address) as client:
        await ask(client)

    assert len(service.received) == 1


async def test_a_unix_socket_will_do(client_class: Any, tmp_path: Any) -> None:
    async with (
        running(address=f"unix:{tmp_path}/paidup.sock") as service,
        client_class(service.address) as client,
    ):
        await ask(client)

    assert len(service.received) == 1


async def test_responses_may_be_larger_than_grpc_would_admit(
    service: ScriptedService, client: Client
) -> None:
    large = pb.CheckEntitlementResponse(revision="r" * 5_000_000)
    service.answer("CheckEntitlement", large)

    response = await client.check_entitlement(account_id="acme", feature="api_access", timeout=10)

    assert response == large


async def test_the_callers_channel_options_prevail(
    service: ScriptedService, client_class: Any
) -> None:
    service.answer("CheckEntitlement", pb.CheckEntitlementResponse(revision="r" * 1000))

    options = [("grpc.max_receive_message_length", 100)]
    async with client_class(service.address, channel_options=options) as client:
        with pytest.raises(Unavailable) as raised:
            await ask(client)

    assert raised.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_server_that_is_not_healthy_is_not_called(
    service: ScriptedService, client: Client
) -> None:
    await service.fall_ill()

    with pytest.raises(Unavailable, match="unhealthy"):
        await ask(client)

    assert service.received == []


async def test_calls_go_to_all_servers(client_class: Any) -> None:
    async with (
        running() as one,
        running() as other,
        client_class(f"ipv4:{one.address},{other.address}") as client,
        asyncio.timeout(10),
    ):
        while not (one.received and other.received):
            await ask(client)

    assert {received.rpc for received in one.received + other.received} == {"CheckEntitlement"}


async def test_calls_go_around_a_server_that_is_not_healthy(client_class: Any) -> None:
    async with running() as well, running() as ill:
        await ill.fall_ill()
        async with client_class(f"ipv4:{ill.address},{well.address}") as client:
            for _ in range(20):
                await ask(client)

    assert (len(ill.received), len(well.received)) == (0, 20)


async def test_readiness_waits_for_a_healthy_server(
    service: ScriptedService, client: Client
) -> None:
    await service.fall_ill()

    with pytest.raises(Unavailable, match=r"ready within 0\.1 seconds"):
        await client.wait_for_ready(timeout=0.1)
    waiting = asyncio.create_task(client.wait_for_ready(timeout=30))
    await service.recover()
    await waiting
    await ask(client)

    assert len(service.received) == 1


async def test_a_closed_client_says_so(service: ScriptedService, client: Client) -> None:
    await ask(client)

    await client.close()
    await client.close()  # once more does no harm

    with pytest.raises(RuntimeError, match="client is closed"):
        await ask(client)
    with pytest.raises(RuntimeError, match="client is closed"):
        await client.wait_for_ready(timeout=1)
    assert len(service.received) == 1


async def test_closing_ends_the_calls_that_still_wait(
    service: ScriptedService, client: Client
) -> None:
    service.answer("CheckEntitlement", Silence())
    waiting = asyncio.create_task(ask(client))
    await service.called.wait()

    await client.close()

    with pytest.raises(RuntimeError, match="client is closed"):
        await waiting


async def test_canceling_the_task_cancels_the_call(service: ScriptedService) -> None:
    service.answer("CheckEntitlement", Silence())
    async with BillingClient(service.address) as client:
        waiting = asyncio.create_task(ask(client))
        await service.called.wait()

        waiting.cancel()

        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_canceling_the_task_is_not_mistaken_for_closing(service: ScriptedService) -> None:
    service.answer("CheckEntitlement", Silence())
    async with BillingClient(service.address) as client:
        waiting = asyncio.create_task(ask(client))
        await service.called.wait()

        waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_an_asyncio_client_is_not_made_outside_a_loop() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        BillingClient("localhost:50051")


async def test_threads_share_a_blocking_client(service: ScriptedService) -> None:
    async with AwaitableClient(service.address) as client:
        await asyncio.gather(*(ask(client) for _ in range(20)))

    assert len(service.received) == 20
