"""The peer: a bare grpcio server of the same design that answers checks without deciding."""

import grpc
import uvloop

from paidup.v1 import billing_service_pb2 as pb
from paidup.v1 import billing_service_pb2_grpc, entitlement_pb2

ANSWER = pb.CheckEntitlementResponse(
    entitlement=entitlement_pb2.Entitlement(
        account_id="acme",
        feature="api_access",
        entitled=True,
        reason=entitlement_pb2.ENTITLEMENT_REASON_ACTIVE,
        subscription_id="sub_00000000000000000000",
        quantity=1,
    ),
    revision="A" * 28,
)


class Echo(billing_service_pb2_grpc.BillingServiceServicer):
    """Answers every check alike."""

    async def CheckEntitlement(  # noqa: N802 - named by the contract
        self, _request: pb.CheckEntitlementRequest, _context: grpc.aio.ServicerContext
    ) -> pb.CheckEntitlementResponse:
        return ANSWER


async def serve() -> None:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    billing_service_pb2_grpc.add_BillingServiceServicer_to_server(Echo(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"echo listening on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve())
