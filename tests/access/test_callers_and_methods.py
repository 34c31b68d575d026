"""Callers by methods: who is let in where, over real connections."""

import base64
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import REGISTRY

from billing_service import service_tokens
from billing_service.service_tokens import ServiceTokens
from billing_service.watched_file import WatchedFiles
from tests.access.serving import METHODS, OPS, SERVICES, SHOP, call, outcome, serving
from tests.pki import AUDIENCE, ISSUER, Authority, Cluster, Issued

pytestmark = pytest.mark.asyncio(loop_scope="session")

BILLING = {each.name for each in SERVICES["BillingService"].methods}
ADMIN = {each.name for each in SERVICES["AdminService"].methods}
ACCOUNT = "system:serviceaccount:shop:web"
LONG_AGO = datetime.now(UTC) - timedelta(days=2)


@dataclass(frozen=True)
class Shown:
    """What a caller shows of itself."""

    certificate: Issued | None = None
    token: str | None = None
    #: Whether it comes to the port for tokens.
    tokens: bool = False


def _certificates(authority: Authority) -> dict[str, Shown]:
    stranger = Authority("another CA")
    return {
        "no certificate": Shown(),
        "another CA's certificate": Shown(stranger.issue(spiffe=[SHOP])),
        "an expired certificate": Shown(authority.issue(spiffe=[SHOP], expires=LONG_AGO)),
        "a certificate that names nobody": Shown(authority.issue(common_name=SHOP)),
        "a certificate with a URI that is no SPIFFE ID": Shown(
            authority.issue(spiffe=["https://example.org/ns/shop/sa/web"])
        ),
        "a certificate of nobody in the policy": Shown(authority.issue(spiffe=[f"{SHOP}-2"])),
        "a DNS name like another's SPIFFE ID": Shown(authority.issue(dns=["ns.ops.example.org"])),
        "the shop's certificate": Shown(authority.issue(spiffe=[SHOP], dns=["checks.internal"])),
        "the operators' certificate": Shown(authority.issue(spiffe=[OPS])),
        "a certificate with a DNS name": Shown(
            authority.issue(dns=["checks.internal", "other.internal"])
        ),
        "a certificate with the name in second place": Shown(
            authority.issue(dns=["other.internal", "checks.internal"])
        ),
        "the shop's certificate and a wrong token": Shown(
            authority.issue(spiffe=[SHOP]), token="pdtk_wrong"
        ),
        "a certificate where none is asked for": Shown(authority.issue(spiffe=[SHOP]), tokens=True),
    }


def _tokens(cluster: Cluster, made: dict[str, str]) -> dict[str, Shown]:
    now = int(time.time())
    other = Cluster(kid=cluster.kid)
    right = cluster.token(ACCOUNT)
    header, payload, signature = right.split(".")
    public = cluster.rsa_key.public_key().public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    all_claims = cluster.claims(ACCOUNT)
    shown = {
        "no token": None,
        "an empty token": "",
        "no token but text": "hello",
        "two dots": "..",
        "deep brackets": f"{_part('[' * 3000)}.{payload}.{signature}",
        "an expired token": cluster.token(exp=now - 60),
        "a token of another audience": cluster.token(aud=["vault"]),
        "a token of no audience": cluster.token(aud=None),
        "a token of another issuer": cluster.token(iss="https://issuer.example.net"),
        "a token of no issuer": cluster.token(iss=None),
        "a token for ever": cluster.token(exp=None),
        "a token for later": cluster.token(nbf=now + 60),
        "a token of no service account": cluster.token("spiffe://example.org/ns/shop/sa/web"),
        "a token of a static one's name": cluster.token("token:all"),
        "HS256 with the public key": _hs256(all_claims, public, cluster.kid),
        "HS256 with the kid as secret": jwt.encode(
            all_claims, "0" * 32, "HS256", headers={"kid": cluster.kid}
        ),
        "alg none": jwt.encode(all_claims, "", "none", headers={"kid": cluster.kid}),
        "alg none under a right signature": f"{_part({'alg': 'none'})}.{payload}.{signature}",
        "an unknown kid": Cluster(kid="key-9").token(ACCOUNT),
        "no kid": jwt.encode(all_claims, cluster.rsa_key, "RS256"),
        "another cluster's key under our kid": other.token(ACCOUNT),
        "a key that the token brings along": jwt.encode(
            all_claims,
            other.rsa_key,
            "RS256",
            headers={"kid": cluster.kid, "jwk": other.keys[0], "jku": "http://127.0.0.1:1/"},
        ),
        "claims under another's signature": (
            f"{header}.{_part({**all_claims, 'sub': 'system:serviceaccount:a:b'})}.{signature}"
        ),
        "a service account that is not in the policy": cluster.token(f"{ACCOUNT}-2"),
        "the shop's service account": right,
        "the shop's service account by ES256": cluster.token(ACCOUNT, alg="ES256"),
        "a static token nobody made": f"{made['all']}x",
        "a static token of a stranger": made["stranger"],
        "a static token of somebody": made["all"],
    }
    return {name: Shown(token=token, tokens=True) for name, token in shown.items()}


def _part(of: object) -> str:
    text = of if isinstance(of, str) else json.dumps(of)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _hs256(claims: dict[str, object], public: bytes, kid: str) -> str:
    # The library refuses to sign with a public key; an attacker does not.
    import hmac  # noqa: PLC0415

    signed = f"{_part({'alg': 'HS256', 'typ': 'JWT', 'kid': kid})}.{_part(claims)}"
    mac = hmac.digest(public, signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


#: Whom the server does not even shake hands with.
REFUSED_BY_TLS = {"no certificate", "another CA's certificate", "an expired certificate"}
#: Who is known, and what they may call.
KNOWN = {
    "a certificate of nobody in the policy": set(),
    "a DNS name like another's SPIFFE ID": set(),
    "the shop's certificate": BILLING,
    "the operators' certificate": ADMIN,
    "a certificate with a DNS name": {"CheckEntitlement"},
    "a certificate with the name in second place": set(),
    "a service account that is not in the policy": set(),
    "the shop's service account": BILLING,
    "the shop's service account by ES256": BILLING,
    "a static token of a stranger": set(),
    "a static token of somebody": BILLING | ADMIN,
}


def _expected(who: str, method: str) -> StatusCode:
    if who in REFUSED_BY_TLS:
        return StatusCode.UNAVAILABLE
    if who not in KNOWN:
        return StatusCode.UNAUTHENTICATED
    return StatusCode.OK if method in KNOWN[who] else StatusCode.PERMISSION_DENIED


def _everybody() -> list[str]:
    authority, cluster = Authority(), Cluster()
    made = {"all": "pdtk_a", "stranger": "pdtk_s"}
    return [*_certificates(authority), *_tokens(cluster, made)]


@pytest.fixture(scope="session")
def callers(running) -> dict[str, Shown]:
    files, _, _ = running
    return _certificates(files.authority) | _tokens(files.cluster, files.tokens)


@pytest.mark.parametrize("who", _everybody())
async def test_every_caller_at_every_method(running, callers, who):
    _, served, answering = running
    shown = callers[who]
    answering.asked.clear()

    async with served.channel(shown.certificate, tokens=shown.tokens) as channel:
        seen = {
            method: await outcome(call(channel, method, token=shown.token)) for method in METHODS
        }

    assert seen == {method: _expected(who, method) for method in METHODS}
    # Whoever is refused reaches nothing behind the door.
    assert answering.asked == [each for each in METHODS if seen[each] is StatusCode.OK]


async def test_nobody_in_the_table_is_expected_to_be_what_nobody_is():
    assert set(KNOWN) | REFUSED_BY_TLS <= set(_everybody())


async def test_health_is_told_to_everybody(running):
    _, served, _ = running

    async with served.channel(tokens=True) as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())

    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize(
    "metadata",
    [
        [("authorization", "Basic {all}")],
        [("authorization", "{all}")],
        [("authorization", "Bearer ")],
        [("authorization", "Bearer {all}"), ("authorization", "Bearer {all}")],
        [("x-authorization", "Bearer {all}")],
        [("paidup-caller", "token:all"), ("x-forwarded-client-cert", f"URI={SHOP}")],
    ],
)
async def test_nothing_but_one_bearer_token_proves_anything(running, metadata):
    files, served, _ = running
    sent = [(name, value.format(**files.tokens)) for name, value in metadata]

    async with served.channel(tokens=True) as channel:
        ask = channel.unary_unary("/paidup.v1.BillingService/CheckEntitlement")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(b"", timeout=10, metadata=sent)

    assert refused.value.code() is StatusCode.UNAUTHENTICATED


async def test_the_scheme_may_be_in_any_case(running):
    files, served, _ = running

    async with served.channel(tokens=True) as channel:
        ask = channel.unary_unary("/paidup.v1.BillingService/CheckEntitlement")
        answer = await ask(
            b"", timeout=10, metadata=[("authorization", f"bearer {files.tokens['all']}")]
        )

    assert answer == b""


async def _refusal(begun) -> tuple[grpc.aio.AioRpcError, error_details_pb2.ErrorInfo]:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await begun
    details = dict(refused.value.trailing_metadata())["grpc-status-details-bin"]
    info = error_details_pb2.ErrorInfo()
    assert status_pb2.Status.FromString(details).details[0].Unpack(info)
    return refused.value, info


async def test_who_is_not_known_is_told_why_and_nothing_of_what_was_shown(running, callers):
    _, served, _ = running
    shown = callers["an expired token"]

    async with served.channel(tokens=True) as channel:
        error, info = await _refusal(call(channel, "CheckEntitlement", token=shown.token))

    assert error.details() == "The token has expired."
    assert (info.reason, dict(info.metadata)) == ("ERROR_REASON_UNAUTHENTICATED", {})


async def test_who_may_not_is_told_the_method_and_nothing_of_the_policy(running, callers):
    _, served, _ = running
    shown = callers["the shop's service account"]

    async with served.channel(tokens=True) as channel:
        error, info = await _refusal(call(channel, "ReplayEvent", token=shown.token))

    assert error.details() == "The caller may not call ReplayEvent."
    assert info.reason == "ERROR_REASON_METHOD_NOT_ALLOWED"
    assert dict(info.metadata) == {"caller": ACCOUNT, "method": "ReplayEvent"}


async def test_what_came_of_each_proof_is_counted(running, callers):
    _, served, _ = running
    proofs = {
        "no token": ("none", "missing"),
        "an unknown kid": ("jwt", "unknown_key"),
        "HS256 with the public key": ("jwt", "wrong_algorithm"),
        "a token of another audience": ("jwt", "wrong_audience"),
        "a token of another issuer": ("jwt", "wrong_issuer"),
        "an expired token": ("jwt", "expired"),
        "another cluster's key under our kid": ("jwt", "wrong_signature"),
        "a static token nobody made": ("token", "unknown"),
        "a static token of somebody": ("token", "ok"),
    }

    def counted(kind: str, result: str) -> float:
        labels = {"kind": kind, "outcome": result}
        return REGISTRY.get_sample_value("paidup_authentications_total", labels) or 0.0

    before = {who: counted(*proof) for who, proof in proofs.items()}
    async with served.channel(tokens=True) as channel:
        for who in proofs:
            await outcome(call(channel, "CheckEntitlement", token=callers[who].token))

    assert {who: counted(*proof) for who, proof in proofs.items()} == {
        who: count + 1 for who, count in before.items()
    }


async def test_who_may_not_takes_no_place_from_those_who_may(files):
    async with (
        serving(files, {"CheckEntitlement": 0}) as (served, _),
        served.channel(tokens=True) as channel,
    ):
        codes = [
            await outcome(call(channel, "CheckEntitlement", token=files.tokens.get(who)))
            for who in ("nobody", "stranger", "all")
        ]

    assert codes == [
        StatusCode.UNAUTHENTICATED,
        StatusCode.PERMISSION_DENIED,
        StatusCode.RESOURCE_EXHAUSTED,
    ]


async def test_only_so_many_tokens_are_remembered(files, monkeypatch):
    monkeypatch.setattr(service_tokens, "REMEMBERED", 3)
    keys = WatchedFiles("jwks", [files.path("jwks.json")], service_tokens.parse)
    checked = ServiceTokens(keys, issuers=[ISSUER], audience=AUDIENCE)

    for number in range(5):
        checked.verify(files.cluster.token(ACCOUNT, jti=str(number)))

    assert len(checked._verified) == 3
