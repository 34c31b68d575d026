"""Files that change while connections and streams are open: by a rename, and as a kubelet does."""

import asyncio
import json
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import grpc
import pytest
import pytest_asyncio
from cryptography import x509
from grpc import StatusCode
from prometheus_client import REGISTRY

from billing_service import access, static_tokens
from billing_service.service_tokens import LEEWAY
from paidup.v1 import billing_service_pb2 as pb
from tests.access.serving import HOST, POLICY, SHOP, Mounted, Served, call, outcome, serving
from tests.pki import Authority, Cluster

pytestmark = pytest.mark.asyncio(loop_scope="session")

DEADLINE = 15
ACCOUNT = "system:serviceaccount:shop:web"
WITHOUT_SHOP = POLICY.replace(SHOP, "spiffe://example.org/nobody").replace(ACCOUNT, "nobody")
CHECK, WATCH = "CheckEntitlement", "WatchEntitlements"


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(access, "FOLLOW_INTERVAL", 0.02)


@pytest_asyncio.fixture(loop_scope="session")
async def served(files) -> AsyncIterator[Served]:
    async with serving(files) as (running, _):
        yield running


async def until(wanted: StatusCode, begin: Callable[[], object]) -> None:
    """Call until it ends as wanted."""
    async with asyncio.timeout(DEADLINE):
        while await outcome(begin()) is not wanted:
            await asyncio.sleep(0.01)


async def opened(stream) -> None:
    assert await stream.read() is not grpc.aio.EOF


async def ended(stream) -> StatusCode:
    async with asyncio.timeout(DEADLINE):
        return await stream.code()


def loads(file: str, result: str) -> float:
    labels = {"file": file, "outcome": result}
    return REGISTRY.get_sample_value("paidup_access_file_loads_total", labels) or 0.0


def broken(file: str) -> float | None:
    return REGISTRY.get_sample_value("paidup_access_file_broken", {"file": file})


async def until_broken(file: str) -> None:
    async with asyncio.timeout(DEADLINE):
        while broken(file) != 1:
            await asyncio.sleep(0.01)


async def test_who_is_taken_out_of_the_policy_is_out_and_its_streams_end(files, served):
    certificate = files.authority.issue(spiffe=[SHOP])
    async with served.channel(certificate) as shop, served.channel(tokens=True) as other:
        revoked = call(shop, WATCH)
        staying = call(other, WATCH, token=files.tokens["all"])
        await opened(revoked)
        await opened(staying)

        files.write("policy.toml", WITHOUT_SHOP)
        code = await ended(revoked)

        assert code is StatusCode.PERMISSION_DENIED
        assert await outcome(call(shop, CHECK)) is StatusCode.PERMISSION_DENIED
        assert await outcome(call(shop, WATCH)) is StatusCode.PERMISSION_DENIED
        assert not staying.done()
        staying.cancel()


async def test_who_is_put_into_the_policy_is_let_in_over_the_connection_it_has(files, served):
    async with served.channel(tokens=True) as channel:
        token = files.tokens["stranger"]
        before = await outcome(call(channel, CHECK, token=token))

        files.write("policy.toml", POLICY.replace("token:tenant", "token:stranger"))

        request = pb.CheckEntitlementRequest(account_id="acme")
        await until(StatusCode.OK, lambda: call(channel, CHECK, request, token))
    assert before is StatusCode.PERMISSION_DENIED


async def test_who_loses_an_account_loses_the_streams_that_watch_it(files, served):
    async with served.channel(tokens=True) as channel:
        token = files.tokens["tenant"]
        lost = call(channel, WATCH, pb.WatchEntitlementsRequest(account_ids=["acme-1"]), token)
        kept = call(channel, WATCH, pb.WatchEntitlementsRequest(account_ids=["acme"]), token)
        await opened(lost)
        await opened(kept)

        files.write("policy.toml", POLICY.replace(', "acme-*"', ""))

        assert await ended(lost) is StatusCode.PERMISSION_DENIED
        assert not kept.done()
        kept.cancel()


async def test_a_broken_policy_changes_nothing_and_is_counted(files, served):
    certificate = files.authority.issue(spiffe=[SHOP])
    failed = loads("policy", "failed")
    async with served.channel(certificate) as channel:
        stream = call(channel, WATCH)
        await opened(stream)

        files.write("policy.toml", "[[caller]")
        await until_broken("policy")

        assert loads("policy", "failed") == failed + 1
        assert await outcome(call(channel, CHECK)) is StatusCode.OK
        assert not stream.done()
        files.write("policy.toml", WITHOUT_SHOP)
        assert await ended(stream) is StatusCode.PERMISSION_DENIED
        assert broken("policy") == 0


async def test_a_policy_that_a_kubelet_swaps_is_followed(tmp_path, files):
    mounted = Mounted(tmp_path / "mounted", policy=POLICY.encode())
    certificate = files.authority.issue(spiffe=[SHOP])
    async with (
        serving(files, policy_file=mounted / "policy") as (served, _),
        served.channel(certificate) as channel,
    ):
        stream = call(channel, WATCH)
        await opened(stream)

        mounted.swap(policy=WITHOUT_SHOP.encode())

        assert await ended(stream) is StatusCode.PERMISSION_DENIED
        mounted.swap(policy=POLICY.encode())
        await until(StatusCode.OK, lambda: call(channel, CHECK))


async def test_a_token_that_is_taken_out_is_worth_nothing_and_a_new_one_is(files, served):
    new = static_tokens.make("all")
    async with served.channel(tokens=True) as channel:
        old = files.tokens["all"]
        stream = call(channel, WATCH, token=old)
        await opened(stream)

        files.write("tokens", new.line)

        assert await ended(stream) is StatusCode.UNAUTHENTICATED
        assert await outcome(call(channel, CHECK, token=old)) is StatusCode.UNAUTHENTICATED
        assert await outcome(call(channel, CHECK, token=new.token)) is StatusCode.OK


async def test_a_key_that_is_taken_out_takes_its_tokens_along_remembered_ones_too(files, served):
    other = Cluster(kid="key-2")
    old, new = files.cluster.token(ACCOUNT), other.token(ACCOUNT)
    async with served.channel(tokens=True) as channel:
        stream = call(channel, WATCH, token=old)
        await opened(stream)
        assert await outcome(call(channel, CHECK, token=new)) is StatusCode.UNAUTHENTICATED

        files.write("jwks.json", json.dumps({"keys": [*files.cluster.keys, *other.keys]}))
        await until(StatusCode.OK, lambda: call(channel, CHECK, token=new))
        assert await outcome(call(channel, CHECK, token=old)) is StatusCode.OK
        assert not stream.done()
        files.write("jwks.json", json.dumps({"keys": other.keys}))

        assert await ended(stream) is StatusCode.UNAUTHENTICATED
        assert await outcome(call(channel, CHECK, token=old)) is StatusCode.UNAUTHENTICATED
        assert await outcome(call(channel, CHECK, token=new)) is StatusCode.OK


async def test_a_token_that_expires_is_worth_nothing_though_it_is_remembered(files, served):
    exp = int(time.time()) + 600
    token = files.cluster.token(ACCOUNT, exp=exp)
    async with served.channel(tokens=True) as channel:
        stream = call(channel, WATCH, token=token)
        await opened(stream)
        assert await outcome(call(channel, CHECK, token=token)) is StatusCode.OK

        later = exp + LEEWAY
        served.access._streams._now = served.access._callers._service_tokens._now = lambda: later

        assert await ended(stream) is StatusCode.UNAUTHENTICATED
        assert await outcome(call(channel, CHECK, token=token)) is StatusCode.UNAUTHENTICATED


def _serial(port: int) -> int:
    """Shake hands, and read the certificate that the server shows."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection((HOST, port), timeout=10) as connection,
        context.wrap_socket(connection, server_hostname="localhost") as secure,
    ):
        shown = secure.getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(shown).serial_number


def _serial_of(certificate: bytes) -> int:
    return x509.load_pem_x509_certificate(certificate).serial_number


async def _until_shown(port: int, certificate: bytes) -> None:
    async with asyncio.timeout(DEADLINE):
        while await asyncio.to_thread(_serial, port) != _serial_of(certificate):
            await asyncio.sleep(0.01)


async def test_a_new_certificate_is_shown_to_new_connections_and_open_ones_go_on(tmp_path, files):
    first, second = files.authority.issue_for_server(), files.authority.issue_for_server()
    mounted = Mounted(tmp_path / "tls", crt=first.certificate, key=first.key)
    paths = {"tls_certificate_file": mounted / "crt", "tls_key_file": mounted / "key"}
    certificate = files.authority.issue(spiffe=[SHOP])
    async with serving(files, **paths) as (served, _), served.channel(certificate) as channel:
        stream = call(channel, WATCH)
        await opened(stream)
        assert await asyncio.to_thread(_serial, served.token_port) == _serial_of(first.certificate)

        mounted.swap(crt=second.certificate, key=second.key)

        await _until_shown(served.token_port, second.certificate)
        await _until_shown(served.port, second.certificate)
        assert not stream.done()
        assert await outcome(call(channel, CHECK)) is StatusCode.OK
        async with served.channel(certificate) as another:
            assert await outcome(call(another, CHECK)) is StatusCode.OK


async def test_a_certificate_whose_key_has_not_come_yet_is_not_shown(files, served):
    shown = await asyncio.to_thread(_serial, served.token_port)
    expiry = REGISTRY.get_sample_value("paidup_certificate_expiry_timestamp_seconds")
    later = datetime.now(UTC) + timedelta(days=9)
    new = files.authority.issue_for_server(expires=later)
    certificate = files.authority.issue(spiffe=[SHOP])

    files.write("tls.crt", new.certificate)
    await until_broken("certificate")

    assert await asyncio.to_thread(_serial, served.token_port) == shown
    assert REGISTRY.get_sample_value("paidup_certificate_expiry_timestamp_seconds") == expiry
    async with served.channel(certificate) as channel:
        assert await outcome(call(channel, CHECK)) is StatusCode.OK
    files.write("tls.key", new.key)
    await _until_shown(served.token_port, new.certificate)
    told = REGISTRY.get_sample_value("paidup_certificate_expiry_timestamp_seconds")
    assert told == pytest.approx(later.timestamp(), abs=1)


async def test_another_ca_lets_its_callers_in_and_the_old_ones_no_more(files, served):
    other = Authority("the next CA")
    old, new = files.authority.issue(spiffe=[SHOP]), other.issue(spiffe=[SHOP])
    async with served.channel(new) as channel:
        assert await outcome(call(channel, CHECK)) is StatusCode.UNAVAILABLE

    files.write("ca.crt", files.authority.certificate + other.certificate)

    await until_let_in(served, new)
    await until_let_in(served, old)
    files.write("ca.crt", other.certificate)
    await until_let_in(served, old, StatusCode.UNAVAILABLE)
    await until_let_in(served, new)


async def until_let_in(served: Served, certificate, wanted: StatusCode = StatusCode.OK) -> None:
    """Connect anew until a call ends as wanted."""
    async with asyncio.timeout(DEADLINE):
        while True:
            async with served.channel(certificate) as channel:
                if await outcome(call(channel, CHECK)) is wanted:
                    return
            await asyncio.sleep(0.01)
