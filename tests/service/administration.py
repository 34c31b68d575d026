"""What operators ask, over a real channel; refusals become the client's exceptions."""

from typing import Any

import grpc

from paidup import _errors
from paidup.v1 import admin_service_pb2 as pb
from paidup.v1 import admin_service_pb2_grpc

TIMEOUT = 20


class Administration:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = admin_service_pb2_grpc.AdminServiceStub(channel)

    async def list_events(self, **fields: Any) -> pb.ListEventsResponse:
        return await self._call("ListEvents", fields)

    async def replay_event(self, event_id: str) -> pb.Event:
        return (await self._call("ReplayEvent", {"event_id": event_id})).event

    async def refresh_account(self, account_id: str) -> pb.RefreshAccountResponse:
        return await self._call("RefreshAccount", {"account_id": account_id})

    async def link_customer(self, account_id: str, customer_id: str) -> pb.LinkCustomerResponse:
        fields = {"account_id": account_id, "customer_id": customer_id}
        return await self._call("LinkCustomer", fields)

    async def erase_account(self, account_id: str) -> int:
        return (await self._call("EraseAccount", {"account_id": account_id})).erased_events

    async def explain(self, account_id: str, **subject: str) -> pb.ExplainEntitlementResponse:
        return await self._call("ExplainEntitlement", {"account_id": account_id, **subject})

    async def grant(self, account_id: str, feature: str, **more: Any) -> pb.CreateGrantResponse:
        fields = {"account_id": account_id, "feature": feature, "note": "a favour", **more}
        return await self._call("CreateGrant", fields)

    async def revoke(self, grant_id: str) -> pb.RevokeGrantResponse:
        return await self._call("RevokeGrant", {"grant_id": grant_id})

    async def list_grants(self, account_id: str, **fields: Any) -> pb.ListGrantsResponse:
        return await self._call("ListGrants", {"account_id": account_id, **fields})

    async def list_audit_entries(self, **fields: Any) -> pb.ListAuditEntriesResponse:
        return await self._call("ListAuditEntries", fields)

    async def _call(self, method: str, fields: dict[str, Any]) -> Any:
        request = getattr(pb, f"{method}Request")(**fields)
        try:
            return await getattr(self._stub, method)(request, timeout=TIMEOUT)
        except grpc.aio.AioRpcError as failed:
            raise _errors.from_grpc(failed) from None
