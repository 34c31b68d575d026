"""The client for asyncio."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import grpc

from paidup import _calls
from paidup._base_client import CLOSED, BaseClient, describe, serialize
from paidup._calls import RPCS, WATCH_ENTITLEMENTS, Call, Pages, PageT

P = ParamSpec("P")
Answer = TypeVar("Answer")
Item = TypeVar("Item")


def awaited(
    build: Callable[P, Call[Answer]],
) -> "Callable[Concatenate[AsyncioClient, P], Coroutine[Any, Any, Answer]]":
    """Make a method that sends the call that `build` makes."""

    async def method(self: "AsyncioClient", /, *args: P.args, **kwargs: P.kwargs) -> Answer:
        return await self._send(build(*args, **kwargs))

    describe(method, build)
    return method


def iterated(
    build: Callable[P, Pages[PageT, Item]],
) -> "Callable[Concatenate[AsyncioClient, P], AsyncIterator[Item]]":
    """Make a method that goes through the pages that `build` tells of."""

    async def method(
        self: "AsyncioClient", /, *args: P.args, **kwargs: P.kwargs
    ) -> AsyncIterator[Item]:
        pages = build(*args, **kwargs)
        call: Call[PageT] | None = pages.first
        while call is not None:
            page = await self._send(call)
            for item in pages.items(page):
                yield item
            call = pages.after(page)

    describe(method, build, AsyncIterator)
    return method


class AsyncioClient(BaseClient):
    """How any of the services is called from asyncio."""

    def _open(self) -> None:
        # gRPC binds a channel to a loop; without one it would choose one that never runs.
        asyncio.get_running_loop()
        credentials = self._endpoint.credentials()
        address, arguments = self._endpoint.address, self._channel_arguments
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(address, arguments)
        else:
            self._channel = grpc.aio.secure_channel(address, credentials, arguments)
        self._methods = {
            rpc.path: self._channel.unary_unary(rpc.path, serialize, rpc.response.FromString)
            for rpc in self._rpcs
        }

    async def wait_for_ready(self, *, timeout: float = 30.0) -> None:  # noqa: ASYNC109 - as calls
        """Wait until a server can be called, at start-up for example.

        Raises `Unavailable` after `timeout` seconds.
        """
        self._require_open()
        try:
            async with asyncio.timeout(timeout):
                await self._channel.channel_ready()
        except TimeoutError as error:
            raise self._not_ready(timeout) from error

    async def close(self) -> None:
        """Close the connection. Calls that still wait end with RuntimeError."""
        self._closed = True
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        error_class: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _send(self, call: Call[Answer]) -> Answer:
        self._require_open()
        send = self._methods[call.rpc.path]
        try:
            response = await send(
                call.request, timeout=call.timeout, metadata=self._endpoint.metadata()
            )
        except grpc.aio.AioRpcError as failed:
            raise self._failure(failed) from failed
        except asyncio.CancelledError as cancelled:
            # Closing a channel looks as if the task had been cancelled.
            if self._closed and not _being_cancelled():
                raise RuntimeError(CLOSED) from cancelled
            raise
        return call.read(response)


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class BillingClient(AsyncioClient):
    """Calls the billing service from asyncio.

    Make it where it is used, inside a running event loop, and keep it: it holds
    one connection to each server. `async with` closes it. Calls raise what
    `PaidupError` describes.
    """

    create_checkout_session = awaited(_calls.create_checkout_session)
    get_session_status = awaited(_calls.get_session_status)
    create_portal_session = awaited(_calls.create_portal_session)
    check_entitlement = awaited(_calls.check_entitlement)
    entitled = awaited(_calls.entitled)
    batch_check_entitlements = awaited(_calls.batch_check_entitlements)
    list_entitlements = awaited(_calls.list_entitlements)
    list_subscriptions = awaited(_calls.list_subscriptions)
    iter_subscriptions = iterated(_calls.iter_subscriptions)

    _rpcs = RPCS

    def _open(self) -> None:
        super()._open()
        watch = WATCH_ENTITLEMENTS
        self._watch = self._channel.unary_stream(watch.path, serialize, watch.response.FromString)
