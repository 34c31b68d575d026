"""Two tenants and an operator at real processes over TLS: nobody sees what is another's."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import aiohttp
import grpc
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

import paidup
from billing_service import static_tokens
from demo.processes import Process, ProcessFailed, run
from demo.stack import API_KEY, PUBLISHABLE_KEY, Stack
from paidup import AdminClient, BillingClient, LineItem, Tls
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1 import billing_service_pb2_grpc
from tests.access.serving import Files
from tests.leaks import assert_nothing_leaked
from tests.pki import AUDIENCE, ISSUER, Authority, Cluster
from tests.service.shop import EMAIL, RETURN_URL, Shop

POLICY = """
[[caller]]
name = "token:acme"
may_call = ["billing", "CreateGrant", "RevokeGrant", "ListGrants"]
accounts = ["acme"]

[[caller]]
name = "token:globex"
may_call = ["billing", "CreateGrant", "RevokeGrant", "ListGrants"]
accounts = ["globex"]

[[caller]]
name = "system:serviceaccount:ops:cli"
may_call = ["admin", "CheckEntitlement"]

[[caller]]
name = "spiffe://example.org/ns/ops/sa/cli"
may_call = ["admin"]
"""
pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVER_NAME = [("grpc.ssl_target_name_override", "localhost")]
DEADLINE = 20
SCHEMA = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


@dataclass
class Deployment:
    """The running system, and what its callers show of themselves."""

    stack: Stack
    files: Files
    token_address: str

    @property
    def tls(self) -> Tls:
        return Tls(root_certificates=self.files.authority.certificate)

    def client(self, who: str) -> BillingClient:
        token = self.files.tokens[who]
        return BillingClient(
            self.token_address, tls=self.tls, token=token, channel_options=SERVER_NAME
        )

    def admin(self, token: str) -> AdminClient:
        return AdminClient(
            self.token_address, tls=self.tls, token=token, channel_options=SERVER_NAME
        )

    def admin_by_certificate(self) -> AdminClient:
        issued = self.files.authority.issue(spiffe=["spiffe://example.org/ns/ops/sa/cli"])
        tls = Tls(
            root_certificates=self.files.authority.certificate,
            private_key=issued.key,
            certificate_chain=issued.certificate,
        )
        return AdminClient(self.stack.service.address, tls=tls, channel_options=SERVER_NAME)


def _free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def _settings(files: Files, token_address: str) -> dict[str, str]:
    return {
        "PAIDUP_GRPC_TOKEN_LISTEN": token_address,
        "PAIDUP_TLS_CERTIFICATE_FILE": str(files.path("tls.crt")),
        "PAIDUP_TLS_KEY_FILE": str(files.path("tls.key")),
        "PAIDUP_TLS_CLIENT_CA_FILE": str(files.path("ca.crt")),
        "PAIDUP_TOKENS_FILE": str(files.path("tokens")),
        "PAIDUP_JWT_JWKS_FILE": str(files.path("jwks.json")),
        "PAIDUP_JWT_ISSUERS": ISSUER,
        "PAIDUP_JWT_AUDIENCE": AUDIENCE,
        "PAIDUP_POLICY_FILE": str(files.path("policy.toml")),
        "PAIDUP_REFLECTION": "false",
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Files:
    made = Files.make(tmp_path_factory.mktemp("access"), Authority(), Cluster())
    tokens = {name: static_tokens.make(name) for name in ("acme", "globex")}
    made.tokens = {name: each.token for name, each in tokens.items()}
    made.write("tokens", "\n".join(each.line for each in tokens.values()))
    made.write("policy.toml", POLICY)
    return made


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=[1, 2], ids=["one process", "two workers"]
)
async def deployment(request, tmp_path_factory, files) -> AsyncIterator[Deployment]:
    token_address = _free_address()
    stack = Stack(
        database_url=f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('state') / 'paidup.db'}",
        settings=_settings(files, token_address),
        workers=request.param,
    )
    async with stack:
        yield Deployment(stack, files, token_address)
    assert_nothing_leaked(stack)
    shown = [*files.tokens.values(), "eyJ", "PRIVATE KEY"]
    assert [line for line in stack.log if any(each in line for each in shown)] == []


async def _refused(expected: type[Exception], call) -> str:
    with pytest.raises(expected) as refused:
        await call
    return refused.value.reason_name


async def test_another_accounts_session_grant_portal_and_watch_let_nobody_in(deployment):
    async with deployment.client("acme") as acme, deployment.client("globex") as globex:
        await acme.wait_for_ready()
        shop = Shop(stack=deployment.stack, client=acme, account="acme", email=EMAIL)
        session = await shop.checkout()
        assert (await shop.pay(session.session_id))["outcome"] == "complete"
        assert (await shop.status(session.session_id)).customer_email == EMAIL

        # Under its own name the session does not exist; under the other's nothing is told of any.
        of_own = globex.get_session_status(account_id="globex", session_id=session.session_id)
        assert await _refused(paidup.NotFound, of_own) == "ERROR_REASON_SESSION_NOT_FOUND"
        for call in _as_another(globex, session.session_id):
            told = await _refused(paidup.PermissionDenied, call)
            assert told == "ERROR_REASON_ACCOUNT_NOT_ALLOWED"
        assert await acme.entitled("acme", feature="api_access")
    async with _watching(deployment, "globex", account="acme") as stream:
        assert await _code(stream) is grpc.StatusCode.PERMISSION_DENIED


def _as_another(globex: BillingClient, session_id: str):
    """Begin calls in which globex acts for acme."""
    checks = [
        pb.BatchCheckEntitlementsRequest.Check(account_id=each, feature="api_access")
        for each in ("globex", "acme")
    ]
    yield globex.get_session_status(account_id="acme", session_id=session_id)
    yield globex.get_session_status(account_id="acme", session_id="cs_test_none")
    yield globex.create_portal_session(account_id="acme")
    yield globex.create_checkout_session(
        account_id="acme", line_items=[LineItem(price="basic_monthly")], return_url=RETURN_URL
    )
    yield globex.check_entitlement(account_id="acme", feature="api_access")
    yield globex.batch_check_entitlements(checks=checks)
    yield globex.list_entitlements(account_id="acme")
    yield globex.list_subscriptions(account_id="acme")


async def test_another_accounts_grant_does_not_exist_and_stays(deployment):
    async with (
        deployment.admin(deployment.files.tokens["acme"]) as acme,
        deployment.admin(deployment.files.tokens["globex"]) as globex,
    ):
        given = await acme.create_grant(account_id="acme", feature="beta", note="a friend")
        revoking = globex.revoke_grant(grant_id=given.grant.grant_id)
        assert await _refused(paidup.NotFound, revoking) == "ERROR_REASON_GRANT_NOT_FOUND"

        (kept,) = (await acme.list_grants(account_id="acme")).grants
        assert not kept.HasField("revoke_time")
        assert kept.creator == "token:acme"
        revoked = await acme.revoke_grant(grant_id=given.grant.grant_id)
        assert revoked.grant.HasField("revoke_time")


async def test_an_operator_comes_with_a_token_of_the_cluster_or_with_a_certificate(deployment):
    token = deployment.files.cluster.token("system:serviceaccount:ops:cli")

    async with deployment.admin(token) as by_token, deployment.admin_by_certificate() as by_tls:
        first = await by_token.create_grant(account_id="acme", feature="a", note="n")
        second = await by_tls.create_grant(account_id="acme", feature="b", note="n")

    assert first.grant.creator == "system:serviceaccount:ops:cli"
    assert second.grant.creator == "spiffe://example.org/ns/ops/sa/cli"


@asynccontextmanager
async def _watching(
    deployment: Deployment, who: str, *, account: str = ""
) -> AsyncIterator[grpc.aio.UnaryStreamCall]:
    """Watch an account over a connection of its own: the kernel chooses whose it is."""
    credentials = grpc.ssl_channel_credentials(deployment.files.authority.certificate)
    options = [("grpc.use_local_subchannel_pool", 1), *SERVER_NAME]
    metadata = (("authorization", f"Bearer {deployment.files.tokens[who]}"),)
    async with grpc.aio.secure_channel(deployment.token_address, credentials, options) as channel:
        stream = billing_service_pb2_grpc.BillingServiceStub(channel).WatchEntitlements(
            pb.WatchEntitlementsRequest(account_ids=[account or who]), metadata=metadata
        )
        yield stream


async def _code(stream: grpc.aio.UnaryStreamCall) -> grpc.StatusCode:
    """Read a stream to its end."""
    with suppress(grpc.aio.AioRpcError):
        while await stream.read() is not grpc.aio.EOF:
            pass
    return await stream.code()


async def test_a_policy_that_changes_ends_streams_in_every_process(deployment):
    async with AsyncExitStack() as opened, asyncio.timeout(DEADLINE):
        ending = [await opened.enter_async_context(_watching(deployment, "acme")) for _ in range(6)]
        staying = await opened.enter_async_context(_watching(deployment, "globex"))
        for stream in (*ending, staying):
            assert await stream.read() is not grpc.aio.EOF

        before = await _counted(deployment.stack, "paidup_revoked_streams_total")
        deployment.files.write("policy.toml", POLICY.replace("token:acme", "token:nobody"))

        codes = [await _code(stream) for stream in ending]
        assert set(codes) == {grpc.StatusCode.PERMISSION_DENIED}
        assert not staying.done()
        revoked = await _counted(deployment.stack, "paidup_revoked_streams_total")
        assert revoked == before + len(ending)
        deployment.files.write("policy.toml", POLICY)
        async with deployment.client("acme") as acme:
            while not await _is_let_in(acme):
                await asyncio.sleep(0.05)


async def _is_let_in(client: BillingClient) -> bool:
    try:
        await client.list_entitlements(account_id="acme")
    except paidup.PermissionDenied:
        return False
    return True


async def _counted(stack: Stack, name: str) -> float:
    url = f"http://{stack.metrics_address}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        families = text_string_to_metric_families(await answer.text())
    samples = [each for family in families for each in family.samples if each.name == name]
    return sum(each.value for each in samples)


async def test_health_is_told_without_a_token_and_the_schema_is_not(deployment):
    credentials = grpc.ssl_channel_credentials(deployment.files.authority.certificate)
    async with grpc.aio.secure_channel(
        deployment.token_address, credentials, SERVER_NAME
    ) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        async with asyncio.timeout(DEADLINE):
            watching = health.Watch(health_pb2.HealthCheckRequest())
            while (await watching.read()).status != health_pb2.HealthCheckResponse.SERVING:
                pass
        watching.cancel()
        # Asked with one message: what is still being written hides the answer now and then.
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await channel.unary_unary(SCHEMA)(b"", timeout=DEADLINE)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_plaintext_gets_no_answer(deployment):
    async with grpc.aio.insecure_channel(deployment.token_address) as channel:
        stub = billing_service_pb2_grpc.BillingServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.CheckEntitlement(pb.CheckEntitlementRequest(), timeout=DEADLINE)

    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_files_that_cannot_be_used_are_all_named_and_nothing_is_served(tmp_path, files):
    files = Files.make(tmp_path, files.authority, files.cluster)
    files.write("policy.toml", "[[caller]]")
    files.path("jwks.json").unlink()
    settings = {
        **_settings(files, "127.0.0.1:0"),
        "PAIDUP_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'paidup.db'}",
        "PAIDUP_GRPC_LISTEN": "127.0.0.1:0",
        "PAIDUP_METRICS_LISTEN": "127.0.0.1:0",
        "PAIDUP_STRIPE_API_KEY": API_KEY,
        "PAIDUP_STRIPE_PUBLISHABLE_KEY": PUBLISHABLE_KEY,
    }

    with pytest.raises(ProcessFailed) as failed:
        await Process.start("billing_service", ["billing_service", "serve"], settings)

    told = str(failed.value)
    assert "ended with 1" in told
    assert "policy.toml" in told
    assert "jwks.json" in told
    assert "Traceback" not in told


async def test_a_token_is_made_by_a_command_and_works_with_the_line_that_it_gives():
    printed = (await run(["billing_service", "token", "shop"], {})).splitlines()
    token, line = printed[1], printed[3]

    tokens = static_tokens.parse([line.encode()])

    assert tokens.caller(token) == "token:shop"
    with pytest.raises(ProcessFailed, match="ended with 2"):
        await run(["billing_service", "token", "two words"], {})
