"""A scripted service that can be followed, and clocks that a test moves."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc

from clients.python.tests.scripted_service import Failure, ScriptedService, caller_of
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1.entitlement_pb2 import Entitlement

START = 1_700_000_000.0


class Clocks:
    """A machine's two clocks, and the service's."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.jumped = 0.0

    def monotonic(self) -> float:
        return 5000.0 + self.passed

    def wall(self) -> float:
        return START + self.passed + self.jumped

    def server(self) -> float:
        return START + self.passed


@dataclass
class Stream:
    request: pb.WatchEntitlementsRequest
    caller: str = ""
    messages: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)

    def send(self, message: pb.WatchEntitlementsResponse) -> None:
        self.messages.put_nowait(message)

    def end(self, code: grpc.StatusCode) -> None:
        self.messages.put_nowait(code)


class WatchedService(ScriptedService):
    """Hands each stream that is asked for to the test, and lists what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.streams: asyncio.Queue[Stream] = asyncio.Queue()
        self.lists: dict[str, list[Entitlement] | Failure] = {}
        self.listed: list[pb.ListEntitlementsRequest] = []
        self.hold = asyncio.Event()
        self.hold.set()

    async def WatchEntitlements(  # noqa: N802 - named by the contract
        self, request: pb.WatchEntitlementsRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.WatchEntitlementsResponse]:
        stream = Stream(request, caller_of(context))
        self.streams.put_nowait(stream)
        while True:
            message = await stream.messages.get()
            if isinstance(message, grpc.StatusCode):
                if message is not grpc.StatusCode.OK:
                    await context.abort(message, "no")
                return
            yield message

    async def ListEntitlements(  # noqa: N802 - named by the contract
        self, request: pb.ListEntitlementsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListEntitlementsResponse:
        self.listed.append(request)
        answer = self.lists.get(request.account_id, [])
        await self.hold.wait()
        if isinstance(answer, Failure):
            await context.abort(answer.code, answer.message, answer.trailing_metadata())
        return pb.ListEntitlementsResponse(entitlements=answer, revision="r-list")


def entitlement(
    account_id: str = "acme",
    *,
    feature: str | None = None,
    product_id: str | None = None,
    until: float | None = None,
) -> Entitlement:
    """Make one that entitles, until so many seconds after the start."""
    made = Entitlement(
        account_id=account_id, feature=feature, product_id=product_id, entitled=True, reason=1
    )
    if until is not None:
        made.valid_until_time.FromNanoseconds(int((START + until) * 1e9))
    return made


def message(sent: float, revision: str, **kind: Any) -> pb.WatchEntitlementsResponse:
    made = pb.WatchEntitlementsResponse(revision=revision, **kind)
    made.send_time.FromNanoseconds(int(sent * 1e9))
    return made


def of_account(
    account_id: str, entitlements: list[Entitlement]
) -> pb.WatchEntitlementsResponse.AccountEntitlements:
    return pb.WatchEntitlementsResponse.AccountEntitlements(
        account_id=account_id, entitlements=entitlements
    )
