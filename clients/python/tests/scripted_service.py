"""A billing service that says what a test told it to, over genuine gRPC."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from paidup.v1 import admin_service_pb2 as admin
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1.admin_service_pb2_grpc import (
    AdminServiceServicer,
    add_AdminServiceServicer_to_server,
)
from paidup.v1.billing_service_pb2_grpc import (
    BillingServiceServicer,
    add_BillingServiceServicer_to_server,
)

ServiceT = TypeVar("ServiceT", bound="ScriptedService")

METHODS = {
    **pb.DESCRIPTOR.services_by_name["BillingService"].methods_by_name,
    **admin.DESCRIPTOR.services_by_name["AdminService"].methods_by_name,
}


@dataclass(frozen=True, kw_only=True)
class Received:
    rpc: str
    request: Any
    metadata: dict[str, str | bytes]
    time_remaining: float | None
    #: The common name of the caller's certificate; empty without one.
    caller: str = ""


@dataclass(frozen=True, kw_only=True)
class Failure:
    code: grpc.StatusCode
    message: str = "no"
    details: Sequence[Message] = ()
    #: Sent as they are, instead of `details`.
    raw_details: bytes | None = None

    def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        for detail in self.details:
            packed = AnyMessage()
            packed.Pack(detail)
            status.details.append(packed)
        details = status.SerializeToString() if self.raw_details is None else self.raw_details
        return (("grpc-status-details-bin", details),)


class Silence:
    """No answer before the test releases it."""


class ScriptedService(BillingServiceServicer, AdminServiceServicer):
    """Records what it receives and gives the answers it was told, then empty ones."""

    def __init__(self) -> None:
        self.address = ""
        self.received: list[Received] = []
        self.called = asyncio.Event()
        self.release = asyncio.Event()
        #: Ends the server at once, as if it had been killed.
        self.stop: Callable[[], Awaitable[None]]
        self.health = health.aio.HealthServicer()
        self._answers: dict[str, deque[Message | Failure | Silence]] = defaultdict(deque)

    def answer(self, rpc: str, *answers: Message | Failure | Silence) -> None:
        self._answers[rpc].extend(answers)

    async def fall_ill(self) -> None:
        await self.health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)

    async def recover(self) -> None:
        await self.health.set("", health_pb2.HealthCheckResponse.SERVING)

    async def serve(self, rpc: str, request: Message, context: grpc.aio.ServicerContext) -> Message:
        self.received.append(
            Received(
                rpc=rpc,
                request=request,
                metadata=dict(context.invocation_metadata() or ()),
                time_remaining=context.time_remaining(),
                caller=caller_of(context),
            )
        )
        self.called.set()
        answer = self._answers[rpc].popleft() if self._answers[rpc] else None
        if isinstance(answer, Silence):
            await self.release.wait()
        if isinstance(answer, Failure):
            await context.abort(answer.code, answer.message, answer.trailing_metadata())
        if isinstance(answer, Message):
            return answer
        return GetMessageClass(METHODS[rpc].output_type)()


def caller_of(context: grpc.aio.ServicerContext) -> str:
    names = context.auth_context().get("x509_common_name") or [b""]
    return names[0].decode()


def _method(rpc: str) -> Callable[..., Awaitable[Message]]:
    async def method(
        self: ScriptedService, request: Message, context: grpc.aio.ServicerContext
    ) -> Message:
        return await self.serve(rpc, request, context)

    return method


for _rpc in METHODS:
    setattr(ScriptedService, _rpc, _method(_rpc))


@asynccontextmanager
async def running(
    credentials: grpc.ServerCredentials | None = None,
    address: str = "127.0.0.1:0",
    service_class: type[ServiceT] = ScriptedService,
) -> AsyncIterator[ServiceT]:
    service = service_class()
    server = grpc.aio.server()
    add_BillingServiceServicer_to_server(service, server)
    add_AdminServiceServicer_to_server(service, server)
    health_pb2_grpc.add_HealthServicer_to_server(service.health, server)
    if credentials is None:
        port = server.add_insecure_port(address)
    else:
        port = server.add_secure_port(address, credentials)
    service.address = address.replace(":0", f":{port}")
    service.stop = partial(server.stop, None)
    await server.start()
    try:
        yield service
    finally:
        await server.stop(None)
