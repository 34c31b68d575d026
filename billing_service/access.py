"""Who is let in: asked before anything else of every call, and again of streams that are open."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import grpc

from billing_service import metrics
from billing_service.account_scope import is_within, set_scope
from billing_service.callers import Caller, Callers
from billing_service.current_call import set_caller
from billing_service.errors import AccountNotAllowed, BillingError, MethodNotAllowed
from billing_service.open_streams import OpenStreams
from billing_service.policy_file import Policy
from billing_service.watched_file import WatchedFiles

log = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext
Behavior = Callable[[Any, Context], Awaitable[Any]]

#: How often the files are looked at, in seconds.
FOLLOW_INTERVAL = 1.0


class Access:
    """Lets callers in where the policy allows it."""

    def __init__(
        self,
        callers: Callers,
        policy: WatchedFiles[Policy],
        followed: Sequence[WatchedFiles[Any]],
    ) -> None:
        """Build it; `followed` are all files that it depends on, the policy among them."""
        self._callers = callers
        self._policy = policy
        self._followed = followed
        self._streams = OpenStreams()

    def guarded(self, method: str, behavior: Behavior, *, streaming: bool) -> Behavior:
        """Give the behavior of a method, for those who may call it."""

        async def call(request: Any, context: Context) -> Any:
            self._let_in(method, request, context)
            return await behavior(request, context)

        async def stream(request: Any, context: Context) -> Any:
            async with self._streams.entered(partial(self._let_in, method, request, context)):
                return await behavior(request, context)

        return stream if streaming else call

    def _let_in(self, method: str, request: Any, context: Context) -> Caller:
        caller = self._callers.of(context)
        # Said before it is known whether this one may, so that a refusal can be traced.
        set_caller(caller.name)
        scope = self._policy.current.rights(caller.name).get(method)
        if scope is None:
            raise _denied(caller, "method", MethodNotAllowed(caller=caller.name, method=method))
        if not is_within(scope, method, request):
            raise _denied(caller, "account", AccountNotAllowed(caller=caller.name, method=method))
        set_scope(scope)
        return caller

    async def follow(self) -> None:
        """Take over what the files say whenever they change; never returns."""
        while True:
            await asyncio.sleep(FOLLOW_INTERVAL)
            changed = await asyncio.to_thread(self._look)
            self._streams.look_again(changed=changed)

    def _look(self) -> bool:
        # Every one of them, whatever the first says.
        return any(list(map(WatchedFiles.look, self._followed)))


def _denied(caller: Caller, what: str, error: BillingError) -> BillingError:
    metrics.DENIALS.labels(caller.kind, what).inc()
    log.warning("call_denied", extra=error.metadata)
    return error
