"""What callers prove themselves by, and services that ask for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from clients.python.tests.certificates import Authority, Certificate
from clients.python.tests.scripted_service import running
from clients.python.tests.twins import AwaitableClient, Client
from clients.python.tests.watched_service import WatchedService
from paidup import TlsFiles

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


def exclusive(*authorities: Authority, server: Certificate = SERVER) -> grpc.ServerCredentials:
    """Let nobody in without a certificate that one of these has issued."""
    return grpc.ssl_server_credentials(
        [(server.key, server.certificate)],
        root_certificates=b"".join(each.certificate for each in authorities),
        require_client_auth=True,
    )


class GuardedService(WatchedService):
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


@asynccontextmanager
async def asking_for_tokens(
    token: str, credentials: grpc.ServerCredentials | None = None
) -> AsyncIterator[GuardedService]:
    """Serve one caller, over TLS."""
    if credentials is None:
        credentials = grpc.ssl_server_credentials([(SERVER.key, SERVER.certificate)])
    async with running(credentials, service_class=GuardedService) as service:
        service.token = token
        yield service


async def ask(client: Client) -> bool:
    answer: bool = await client.entitled("acme", feature="api_access", timeout=10)
    return answer


def bare(client: Client) -> Any:
    return client.blocking if isinstance(client, AwaitableClient) else client
