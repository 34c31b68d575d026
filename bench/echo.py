"""The peer: a bare grpcio server of the same messages that answers without deciding.

`python -m bench.echo DESIGN [ADDRESS]`: `asyncio`, or `threads`; with an address, one of
several processes that share it.
"""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
import uvloop

from paidup.v1 import billing_service_pb2 as pb
from paidup.v1 import billing_service_pb2_grpc, entitlement_pb2

ENTITLEMENT = entitlement_pb2.Entitlement(
    account_id="acme",
    feature="api_access",
    entitled=True,
    reason=entitlement_pb2.ENTITLEMENT_REASON_ACTIVE,
    subscription_id="sub_00000000000000000000",
    quantity=1,
)
ANSWER = pb.CheckEntitlementResponse(entitlement=ENTITLEMENT, revision="A" * 28)
BATCH = pb.BatchCheckEntitlementsResponse(entitlements=[ENTITLEMENT] * 100, revision="A" * 28)
CHANGED = pb.WatchEntitlementsResponse(
    account=pb.WatchEntitlementsResponse.AccountEntitlements(
        account_id="acme", entitlements=[ENTITLEMENT]
    )
)
THREADS = 8
#: A check of this one is told to all who watch.
TOLD = "told"


class Echo(billing_service_pb2_grpc.BillingServiceServicer):
    """Answers every check alike, and tells watchers of some."""

    def __init__(self) -> None:
        self._watching: set[asyncio.Queue[pb.WatchEntitlementsResponse]] = set()

    async def CheckEntitlement(  # noqa: N802 - named by the contract
        self, request: pb.CheckEntitlementRequest, _context: grpc.aio.ServicerContext
    ) -> pb.CheckEntitlementResponse:
        if request.account_id == TOLD:
            for queue in self._watching:
                queue.put_nowait(CHANGED)
        return ANSWER

    async def BatchCheckEntitlements(  # noqa: N802 - likewise
        self, _request: pb.BatchCheckEntitlementsRequest, _context: grpc.aio.ServicerContext
    ) -> pb.BatchCheckEntitlementsResponse:
        return BATCH

    async def WatchEntitlements(  # noqa: N802 - likewise
        self, _request: pb.WatchEntitlementsRequest, context: grpc.aio.ServicerContext
    ) -> None:
        queue: asyncio.Queue[pb.WatchEntitlementsResponse] = asyncio.Queue()
        self._watching.add(queue)
        try:
            await context.write(pb.WatchEntitlementsResponse())
            while True:
                await context.write(await queue.get())
        finally:
            self._watching.discard(queue)


class ThreadedEcho(billing_service_pb2_grpc.BillingServiceServicer):
    """The same with a thread for each call."""

    def CheckEntitlement(  # noqa: N802 - named by the contract
        self, _request: pb.CheckEntitlementRequest, _context: grpc.ServicerContext
    ) -> pb.CheckEntitlementResponse:
        return ANSWER


def _options(address: str | None) -> list[tuple[str, int]]:
    return [("grpc.so_reuseport", int(address is not None))]


async def serve(address: str | None) -> None:
    server = grpc.aio.server(options=_options(address))
    billing_service_pb2_grpc.add_BillingServiceServicer_to_server(Echo(), server)
    port = server.add_insecure_port(address or "127.0.0.1:0")
    await server.start()
    _announce(port)
    await server.wait_for_termination()


def serve_by_threads(address: str | None) -> None:
    server = grpc.server(ThreadPoolExecutor(THREADS), options=_options(address))
    billing_service_pb2_grpc.add_BillingServiceServicer_to_server(ThreadedEcho(), server)
    port = server.add_insecure_port(address or "127.0.0.1:0")
    server.start()
    _announce(port)
    server.wait_for_termination()


def _announce(port: int) -> None:
    print(f"echo listening on 127.0.0.1:{port}", flush=True)


def main(design: str = "asyncio", address: str | None = None) -> None:
    if design == "threads":
        serve_by_threads(address)
    else:
        uvloop.run(serve(address))


if __name__ == "__main__":
    main(*sys.argv[1:])
