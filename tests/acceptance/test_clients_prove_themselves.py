"""Every client at the real service, by each proof that it accepts, and while proofs are renewed."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from billing_service import static_tokens
from clients.python.tests.cache_twins import CACHES, Recorder, until
from clients.python.tests.command import paidup
from clients.python.tests.twins import ADMIN_CLIENTS, CLIENTS, AwaitableClient
from demo.stack import Stack, settled
from paidup import PermissionDenied, TlsFiles, Unauthenticated, Unavailable
from tests.acceptance.test_node_client import FOLDER, npm
from tests.access.serving import Files, Mounted
from tests.node_packages import unavailable
from tests.pki import AUDIENCE, ISSUER, Authority, Cluster
from tests.storefront.visitor import Visitor

SHOP = "spiffe://example.org/ns/shop/sa/web"
SERVICE_ACCOUNT = "system:serviceaccount:shop:web"
POLICY = "".join(
    f'[[caller]]\nname = "{name}"\nmay_call = ["billing"]\n\n'
    for name in (SHOP, SERVICE_ACCOUNT, "token:shop")
)
PROOFS = ["certificate", "service account", "token"]
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


@dataclass
class Deployment:
    """The running system, and what its callers have in their folders."""

    stack: Stack
    files: Files
    token_address: str
    folder: Path

    def address(self, proof: str) -> str:
        return self.stack.service.address if proof == "certificate" else self.token_address

    def settings(self, proof: str) -> dict[str, Any]:
        """What a client is made with."""
        ca = self.files.path("ca.crt")
        if proof == "certificate":
            shown = {"certificate": self.folder / "tls.crt", "key": self.folder / "tls.key"}
            return {"tls": TlsFiles(ca=ca, **shown)}
        return {"tls": TlsFiles(ca=ca), "token_file": self.folder / proof}

    def variables(self, proof: str) -> dict[str, str]:
        """What the command is told."""
        tls: TlsFiles = self.settings(proof)["tls"]
        token = self.settings(proof).get("token_file")
        given = {
            "PAIDUP_ADDRESS": self.address(proof),
            "PAIDUP_TLS_CA": tls.ca,
            "PAIDUP_TLS_CERT": tls.certificate,
            "PAIDUP_TLS_KEY": tls.key,
            "PAIDUP_TOKEN_FILE": token,
        }
        return {name: str(value) for name, value in given.items() if value is not None}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    files = Files.make(tmp_path_factory.mktemp("service"), Authority(), Cluster())
    made = static_tokens.make("shop")
    files.tokens = {"shop": made.token}
    files.write("tokens", made.line)
    files.write("policy.toml", POLICY)
    return files


@pytest.fixture(scope="module")
def folder(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("callers")
    issued = files.authority.issue(spiffe=[SHOP])
    contents: dict[str, str | bytes] = {
        "tls.crt": issued.certificate,
        "tls.key": issued.key,
        "service account": files.cluster.token(SERVICE_ACCOUNT),
        "token": files.tokens["shop"],
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployment(
    files: Files, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Deployment]:
    token_address = settled("127.0.0.1:0")
    of_files = {
        "PAIDUP_TLS_CERTIFICATE_FILE": "tls.crt",
        "PAIDUP_TLS_KEY_FILE": "tls.key",
        "PAIDUP_TLS_CLIENT_CA_FILE": "ca.crt",
        "PAIDUP_TOKENS_FILE": "tokens",
        "PAIDUP_JWT_JWKS_FILE": "jwks.json",
        "PAIDUP_POLICY_FILE": "policy.toml",
    }
    settings = {name: str(files.path(file)) for name, file in of_files.items()} | {
        "PAIDUP_GRPC_TOKEN_LISTEN": token_address,
        "PAIDUP_JWT_ISSUERS": ISSUER,
        "PAIDUP_JWT_AUDIENCE": AUDIENCE,
    }
    url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('state') / 'paidup.db'}"
    async with Stack(database_url=url, settings=settings) as stack:
        yield Deployment(stack, files, token_address, folder)
    shown = [*files.tokens.values(), "eyJ", "PRIVATE KEY"]
    assert [line for line in stack.log if any(each in line for each in shown)] == []


@pytest.mark.parametrize("proof", PROOFS)
@pytest.mark.parametrize("kind", CLIENTS)
async def test_each_proof_lets_clients_and_caches_in(
    deployment: Deployment, kind: str, proof: str
) -> None:
    settings = deployment.settings(proof)
    async with CLIENTS[kind](deployment.address(proof), **settings) as client:
        assert not await client.entitled("acme", feature="api_access")
        inner = client.blocking if isinstance(client, AwaitableClient) else client
        async with CACHES[kind](inner, accounts=["acme"]) as cache:
            await cache.wait_until_ready()
            assert not cache.entitled("acme", feature="api_access")
    async with ADMIN_CLIENTS[kind](deployment.address(proof), **settings) as admin:
        with pytest.raises(PermissionDenied) as denied:
            await admin.list_grants(account_id="acme")

    assert denied.value.reason_name == "ERROR_REASON_METHOD_NOT_ALLOWED"


@pytest.mark.parametrize("kind", CLIENTS)
async def test_who_proves_nothing_is_not_let_in(
    deployment: Deployment, kind: str, tmp_path: Path
) -> None:
    wrong = tmp_path / "token"
    wrong.write_text("wrong")
    tls = TlsFiles(ca=deployment.files.path("ca.crt"))

    async with CLIENTS[kind](deployment.token_address, tls=tls, token_file=wrong) as client:
        with pytest.raises(Unauthenticated) as refused:
            await client.entitled("acme", feature="api_access")
    assert refused.value.reason_name == "ERROR_REASON_UNAUTHENTICATED"
    assert "wrong" not in str(refused.value)

    async with CLIENTS[kind](deployment.address("certificate"), tls=tls) as client:
        with pytest.raises(Unavailable):
            await client.entitled("acme", feature="api_access")


@pytest.mark.parametrize("kind", CLIENTS)
async def test_a_cluster_rotates_its_keys_and_no_call_fails(
    deployment: Deployment, kind: str, tmp_path: Path
) -> None:
    files, old, new = deployment.files, deployment.files.cluster, Cluster(kid=f"of {kind}")
    mounted = Mounted(tmp_path / "tokens", token=old.token(SERVICE_ACCOUNT).encode())
    tls = TlsFiles(ca=files.path("ca.crt"))
    token_file = mounted / "token"
    calls = 0

    async def ask() -> None:
        nonlocal calls
        await client.entitled("acme", feature="api_access")
        calls += 1

    async with CLIENTS[kind](deployment.token_address, tls=tls, token_file=token_file) as client:
        files.write("jwks.json", json.dumps({"keys": old.keys + new.keys}))
        await until_known(deployment, new)
        mounted.swap(token=new.token(SERVICE_ACCOUNT).encode())
        async with asyncio.timeout(20):
            # The kubelet renews tokens long before they expire; the client looks once a second.
            asked_until = asyncio.get_running_loop().time() + 2
            while asyncio.get_running_loop().time() < asked_until:
                await ask()
        files.write("jwks.json", json.dumps({"keys": new.keys}))
        await until_known(deployment, old, known=False)
        await ask()

    assert calls > 2
    files.write("jwks.json", json.dumps({"keys": old.keys}))
    await until_known(deployment, old)


async def until_known(deployment: Deployment, cluster: Cluster, *, known: bool = True) -> None:
    """Wait until the service knows a cluster's tokens, or no longer does."""
    tls = TlsFiles(ca=deployment.files.path("ca.crt"))
    settings = {"tls": tls, "token": cluster.token(SERVICE_ACCOUNT)}
    async with CLIENTS["asyncio"](deployment.token_address, **settings) as client:
        async with asyncio.timeout(20):
            while known is not await _is_let_in(client):
                await asyncio.sleep(0.05)


async def _is_let_in(client: Any) -> bool:
    try:
        await client.entitled("acme", feature="api_access")
    except Unauthenticated:
        return False
    return True


@pytest.mark.parametrize("kind", CLIENTS)
async def test_a_certificate_is_renewed_and_no_call_fails(
    deployment: Deployment, kind: str, tmp_path: Path
) -> None:
    files = deployment.files
    first, second = (
        files.authority.issue(spiffe=[name]) for name in (SHOP, "spiffe://example.org/ns/other")
    )
    mounted = Mounted(tmp_path / "tls", crt=first.certificate, key=first.key)
    pair = {"certificate": mounted / "crt", "key": mounted / "key"}
    tls = TlsFiles(ca=files.path("ca.crt"), **pair)

    async with CLIENTS[kind](deployment.address("certificate"), tls=tls) as client:
        await client.entitled("acme", feature="api_access")
        # Of somebody whom the policy does not know, so that its use can be seen.
        mounted.swap(crt=second.certificate, key=second.key)
        with pytest.raises(PermissionDenied) as denied:
            await ask_until_refused(client)

    assert denied.value.metadata["caller"] == "spiffe://example.org/ns/other"


async def ask_until_refused(client: Any) -> None:
    async with asyncio.timeout(20):
        while True:
            await client.entitled("acme", feature="api_access")


@pytest.mark.parametrize("kind", CLIENTS)
async def test_a_cache_outlives_the_withdrawal_of_its_token(
    deployment: Deployment, kind: str, tmp_path: Path
) -> None:
    files, recorder = deployment.files, Recorder()
    lines = files.path("tokens").read_text()
    one, other = static_tokens.make("shop"), static_tokens.make("shop")
    token = tmp_path / "token"
    token.write_text(one.token)
    files.write("tokens", f"{lines}\n{one.line}\n")
    settings = {"tls": TlsFiles(ca=files.path("ca.crt")), "token_file": token}
    async with CLIENTS[kind](deployment.token_address, **settings) as client:
        inner = client.blocking if isinstance(client, AwaitableClient) else client
        async with CACHES[kind](inner, accounts=["acme"], observer=recorder) as cache:
            await cache.wait_until_ready(timeout=20)
            files.write("tokens", f"{lines}\n{other.line}\n")
            await until(lambda: any(type(e) is Unauthenticated for _, e in recorder.errors))
            token.write_text(other.token)
            heard = len(recorder.messages)
            await until(lambda: len(recorder.messages) > heard)
            await cache.wait_until_ready(timeout=20)
    files.write("tokens", lines)


@pytest.mark.parametrize("proof", PROOFS)
async def test_the_command_proves_itself(deployment: Deployment, proof: str) -> None:
    ended = await paidup("check", "acme", "api_access", env=deployment.variables(proof))
    assert (ended.code, ended.err) == (1, "")

    denied = await paidup("grants", "acme", env=deployment.variables(proof))
    assert denied.code == 2
    assert denied.err.startswith("paidup: PERMISSION_DENIED METHOD_NOT_ALLOWED")


async def test_the_command_tells_who_is_not_known(deployment: Deployment) -> None:
    env = {**deployment.variables("token"), "PAIDUP_TOKEN": "wrong"}
    del env["PAIDUP_TOKEN_FILE"]

    ended = await paidup("check", "acme", "api_access", env=env)

    assert ended.code == 2
    assert ended.err.startswith("paidup: UNAUTHENTICATED UNAUTHENTICATED")
    assert "wrong" not in ended.err


@pytest.mark.parametrize("proof", PROOFS)
async def test_the_shop_proves_itself(deployment: Deployment, proof: str) -> None:
    names = {"PAIDUP_TLS_CA": "CA", "PAIDUP_TLS_CERT": "CERTIFICATE", "PAIDUP_TLS_KEY": "KEY"}
    names |= {"PAIDUP_TOKEN_FILE": "TOKEN"}
    given = deployment.variables(proof)
    files = {f"STOREFRONT_BILLING_{names[key]}_FILE": given[key] for key in names if key in given}
    shop = await deployment.stack.start_storefront(
        "127.0.0.1:0", STOREFRONT_BILLING=deployment.address(proof), **files
    )
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as web:
        visitor = Visitor(web=web, url=f"http://{shop.address}", email="ada@example.com")
        await visitor.sign_in()
        async with web.get(f"{visitor.url}/account") as response:
            assert response.status == 200


async def test_the_client_for_node_proves_itself(deployment: Deployment) -> None:
    if reason := unavailable(FOLDER):
        pytest.skip(reason)
    output = await npm(
        "run",
        "test:proof",
        PAIDUP_TEST_CERTIFICATE_ADDRESS=deployment.address("certificate"),
        PAIDUP_TEST_TOKEN_ADDRESS=deployment.token_address,
        PAIDUP_TEST_CA=str(deployment.files.path("ca.crt")),
        PAIDUP_TEST_FOLDER=str(deployment.folder),
    )

    assert re.search(r"^# fail 0$", output, re.MULTILINE), output
    assert re.search(r"^# pass [1-9]", output, re.MULTILINE), output
