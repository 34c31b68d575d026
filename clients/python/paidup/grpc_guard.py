"""Refuses calls to a gRPC server of accounts that have not paid.

guard = EntitlementInterceptor(cache, account=..., features={"/shop.v1.Reports/Export": "reports"})
server = grpc.aio.server(interceptors=[guard])
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn

import grpc

from paidup._cache import EntitlementCache

#: Gives the account that a call is made for, from what authenticated it.
AccountOf = Callable[[grpc.HandlerCallDetails], str]


class EntitlementInterceptor(grpc.aio.ServerInterceptor):
    """Refuses with PERMISSION_DENIED, before the handler sees anything of the call."""

    def __init__(
        self,
        cache: EntitlementCache,
        *,
        account: AccountOf,
        features: Mapping[str, str | None],
    ) -> None:
        """Decide by `cache`.

        `features` names for each method (`/package.Service/Method`) the feature that
        it needs; None for one that needs none. Methods that are not in it are
        refused, so that a new one is not given away by oversight.

        `account` gives the account of a call that has been authenticated, by an
        interceptor before this one for example; empty for a stranger, who is refused.
        """
        self._cache = cache
        self._account = account
        self._features = dict(features)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        method = handler_call_details.method
        feature = self._features.get(method)
        if feature is None:
            open_to_all = method in self._features
            return await continuation(handler_call_details) if open_to_all else _refusal("")
        account_id = self._account(handler_call_details)
        if account_id and (await self._cache.check(account_id, feature=feature)).entitled:
            return await continuation(handler_call_details)
        return _refusal(f"This needs {feature}.")


def _refusal(reason: str) -> grpc.RpcMethodHandler:
    async def refuse(_requests: Any, context: grpc.aio.ServicerContext) -> NoReturn:
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, reason or "This is not offered.")

    # Of any kind: the call ends before a message is read or written.
    return grpc.stream_stream_rpc_method_handler(refuse)
