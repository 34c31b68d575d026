"""A server behind a door, every method of both services answered, over real connections."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2_grpc

from billing_service import static_tokens
from billing_service.access import Access
from billing_service.access_settings import AccessSettings
from billing_service.answer_cache import answer_caches
from billing_service.door import open_door
from billing_service.feed import Feed
from billing_service.interceptors import ENCODED, CallInterceptor
from billing_service.listening import bind
from billing_service.memory import Memory
from paidup.v1 import admin_service_pb2, billing_service_pb2
from subscription_state.database import Database
from tests.pki import AUDIENCE, ISSUER, Authority, Cluster, Issued

HOST = "127.0.0.1"
TIMEOUT = 10
SERVICES = {
    service.name: service
    for service in (
        billing_service_pb2.DESCRIPTOR.services_by_name["BillingService"],
        admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"],
    )
}
METHODS = {method.name: method for service in SERVICES.values() for method in service.methods}
STREAMS = {name for name, method in METHODS.items() if method.server_streaming}

SHOP = "spiffe://example.org/ns/shop/sa/web"
OPS = "spiffe://example.org/ns/ops/sa/cli"
POLICY = f"""
[[caller]]
name = "{SHOP}"
may_call = ["billing"]

[[caller]]
name = "spiffe://example.org/ns/ops/*"
may_call = ["admin"]

[[caller]]
name = "dns:checks.internal"
may_call = ["CheckEntitlement"]

[[caller]]
name = "system:serviceaccount:shop:web"
may_call = ["billing"]

[[caller]]
name = "token:all"
may_call = ["billing", "admin"]

[[caller]]
name = "token:tenant"
may_call = ["billing", "admin"]
accounts = ["acme", "acme-*"]
"""


def replace(path: Path, content: bytes | str) -> None:
    """Replace a file at once, as careful programs do."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(content.encode() if isinstance(content, str) else content)
    beside.rename(path)


class Mounted:
    """A folder as the kubelet mounts it: its files are links by way of one that is swapped."""

    def __init__(self, folder: Path, **contents: bytes) -> None:
        self._folder = folder
        self._versions = 0
        folder.mkdir()
        self.swap(**contents)
        for name in contents:
            (folder / name).symlink_to(Path("..data") / name)

    def swap(self, **contents: bytes) -> None:
        self._versions += 1
        version = self._folder / f"..{self._versions}"
        version.mkdir()
        for name, content in contents.items():
            (version / name).write_bytes(content)
        new = self._folder / "..data_tmp"
        new.symlink_to(version.name)
        new.replace(self._folder / "..data")

    def __truediv__(self, name: str) -> Path:
        return self._folder / name


@dataclass
class Files:
    """All that a door is made of, as files in a folder."""

    folder: Path
    authority: Authority
    cluster: Cluster
    tokens: dict[str, str]

    @classmethod
    def make(cls, folder: Path, authority: Authority, cluster: Cluster) -> "Files":
        made = {name: static_tokens.make(name) for name in ("all", "tenant", "stranger")}
        files = cls(folder, authority, cluster, {name: each.token for name, each in made.items()})
        server = authority.issue_for_server()
        files.write("tls.crt", server.certificate)
        files.write("tls.key", server.key)
        files.write("ca.crt", authority.certificate)
        files.write("tokens", "".join(f"{each.line}\n" for each in made.values()))
        files.write("jwks.json", json.dumps({"keys": cluster.keys}))
        files.write("policy.toml", POLICY)
        return files

    def path(self, name: str) -> Path:
        return self.folder / name

    def write(self, name: str, content: bytes | str) -> None:
        replace(self.path(name), content)

    def settings(self, **more: Any) -> AccessSettings:
        """Give settings of everything at once; None leaves one out."""
        every = {
            "grpc_listen": f"{HOST}:0",
            "grpc_token_listen": f"{HOST}:0",
            "policy_file": self.path("policy.toml"),
            "tls_certificate_file": self.path("tls.crt"),
            "tls_key_file": self.path("tls.key"),
            "tls_client_ca_file": self.path("ca.crt"),
            "tokens_file": self.path("tokens"),
            "jwt_jwks_file": self.path("jwks.json"),
            "jwt_issuers": ISSUER,
            "jwt_audience": AUDIENCE,
        }
        given = {name: value for name, value in (every | more).items() if value is not None}
        return AccessSettings(**given)


@dataclass
class Served:
    """A server that runs: the ports for callers with certificates and for those with tokens."""

    port: int
    token_port: int
    authority: Authority
    access: Access

    def channel(
        self, certificate: Issued | None = None, *, tokens: bool = False
    ) -> grpc.aio.Channel:
        """Open a connection of its own."""
        credentials = grpc.ssl_channel_credentials(
            self.authority.certificate,
            certificate.key if certificate else None,
            certificate.certificate if certificate else None,
        )
        port = self.token_port if tokens else self.port
        options = [("grpc.use_local_subchannel_pool", 1)]
        return grpc.aio.secure_channel(f"localhost:{port}", credentials, options)


class Answering:
    """Answers every method of a service with nothing; streams stay open after a first message."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def handlers(self) -> Sequence[grpc.GenericRpcHandler]:
        return [
            grpc.method_handlers_generic_handler(
                service.full_name, {each.name: self._handler(each) for each in service.methods}
            )
            for service in SERVICES.values()
        ]

    def _handler(self, method: Any) -> grpc.RpcMethodHandler:
        request, response = method.input_type._concrete_class, method.output_type._concrete_class

        async def unary(_request: Any, _context: Any) -> Any:
            self.asked.append(method.name)
            return response()

        async def stream(_request: Any, context: Any) -> None:
            self.asked.append(method.name)
            await context.write(b"")
            await asyncio.Event().wait()

        serializer = None if method.name in ENCODED else response.SerializeToString
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(stream, request.FromString, serializer)
        return grpc.unary_unary_rpc_method_handler(unary, request.FromString, serializer)


@asynccontextmanager
async def serving(
    files: Files, most_calls: dict[str, int] | None = None, **more: Any
) -> AsyncIterator[tuple[Served, Answering]]:
    """Serve behind the door that the files make."""
    settings = files.settings(**more)
    door = open_door(settings)
    answering = Answering()
    # Nothing is remembered, but all checks pass through them, as they do in the service.
    database = Database.at(f"sqlite+aiosqlite:///{files.path('never-opened.db')}")
    memory = Memory(most=1)
    answers = answer_caches(Feed(database, memory), memory)
    calls = CallInterceptor(most_calls, access=door.access, answers=answers)
    server = grpc.aio.server(interceptors=[calls])
    server.add_generic_rpc_handlers(tuple(answering.handlers()))
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    port = bind(server, settings.grpc_listen, "", door.credentials)
    token_port = bind(server, f"{HOST}:0", "", door.token_credentials)
    await server.start()
    following = asyncio.create_task(door.access.follow())
    try:
        yield Served(port, token_port, files.authority, door.access), answering
    finally:
        following.cancel()
        await server.stop(0)


def call(
    channel: grpc.aio.Channel, name: str, request: Any = None, token: str | None = None
) -> Any:
    """Begin a call of a method by its name."""
    method = METHODS[name]
    path = f"/{method.containing_service.full_name}/{name}"
    kind = channel.unary_stream if method.server_streaming else channel.unary_unary
    send = kind(
        path,
        request_serializer=method.input_type._concrete_class.SerializeToString,
        response_deserializer=method.output_type._concrete_class.FromString,
    )
    metadata = (("authorization", f"Bearer {token}"),) if token is not None else ()
    asked = method.input_type._concrete_class() if request is None else request
    return send(asked, timeout=TIMEOUT, metadata=metadata)


async def outcome(begun: Any) -> grpc.StatusCode:
    """Tell how a call ends; a stream that was let in counts as OK once it says something."""
    try:
        if isinstance(begun, grpc.aio.UnaryStreamCall):
            first = await begun.read()
            begun.cancel()
            return grpc.StatusCode.OK if first is not grpc.aio.EOF else await begun.code()
        await begun
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK
