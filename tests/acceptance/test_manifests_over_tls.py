"""The manifests over TLS, started as processes: who proves it and is in the policy may call."""

import json

import grpc
import pytest

from paidup.v1 import billing_service_pb2 as pb
from paidup.v1 import billing_service_pb2_grpc
from tests.deploy.manifests import rendered
from tests.deploy.node import Node, keys
from tests.pki import AUDIENCE, ISSUER, Authority, Cluster

SHOP = "system:serviceaccount:shop:web"
SHOP_SPIFFE = "spiffe://cluster.local/ns/shop/sa/web"
REQUEST = pb.CheckEntitlementRequest(account_id="acme", feature="api_access")


@pytest.fixture
def authority():
    return Authority()


async def _served(node: Node) -> None:
    await node.run("migrate")
    # Stripe is away: checks do not need it.
    await node.start("service", PAIDUP_STRIPE_API_BASE="http://127.0.0.1:1")
    await node.until_ready("service")


def _secrets(authority: Authority) -> dict[str, dict[str, str]]:
    issued = authority.issue_for_server()
    certificate = {
        "tls.crt": issued.certificate.decode(),
        "tls.key": issued.key.decode(),
        "ca.crt": authority.certificate.decode(),
    }
    return {**keys(), "paidup-tls": certificate}


async def _check(
    node: Node, credentials: grpc.ChannelCredentials, token: str | None = None
) -> grpc.StatusCode:
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    async with grpc.aio.secure_channel(node.address(50051), credentials) as channel:
        stub = billing_service_pb2_grpc.BillingServiceStub(channel)
        try:
            await stub.CheckEntitlement(REQUEST, metadata=metadata, timeout=20)
        except grpc.aio.AioRpcError as error:
            return error.code()
    return grpc.StatusCode.OK


async def test_callers_with_certificates(tmp_path, authority):
    async with Node(rendered("with-certificates"), tmp_path, _secrets(authority)) as node:
        await _served(node)

        def proof(*spiffe: str) -> grpc.ChannelCredentials:
            issued = authority.issue(spiffe=spiffe)
            return grpc.ssl_channel_credentials(
                authority.certificate, issued.key, issued.certificate
            )

        known = await _check(node, proof(SHOP_SPIFFE))
        unknown = await _check(node, proof(f"{SHOP_SPIFFE}2"))
        nobody = await _check(node, grpc.ssl_channel_credentials(authority.certificate))

    assert known == grpc.StatusCode.OK
    assert unknown == grpc.StatusCode.PERMISSION_DENIED
    assert nobody == grpc.StatusCode.UNAVAILABLE


async def test_callers_with_tokens_of_their_service_accounts(tmp_path, authority):
    cluster = Cluster()
    objects = rendered("with-tokens")
    settings = objects.environment(objects.container("service"))
    assert (settings["PAIDUP_JWT_ISSUERS"], settings["PAIDUP_JWT_AUDIENCE"]) == (ISSUER, AUDIENCE)
    credentials = grpc.ssl_channel_credentials(authority.certificate)
    maps = {"paidup-jwks": {"jwks.json": json.dumps({"keys": cluster.keys})}}
    async with Node(objects, tmp_path, _secrets(authority), maps) as node:
        await _served(node)

        known = await _check(node, credentials, cluster.token(SHOP))
        unknown = await _check(node, credentials, cluster.token(f"{SHOP}2"))
        nobody = await _check(node, credentials)

    assert known == grpc.StatusCode.OK
    assert unknown == grpc.StatusCode.PERMISSION_DENIED
    assert nobody == grpc.StatusCode.UNAUTHENTICATED
