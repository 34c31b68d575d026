"""The client for asyncio."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import grpc

from paidup import _calls
from paidup._base_client import CLOSED, BaseClient, describe
from paidup._calls import RPCS, WATCH_ENTITLEMENTS, Call, Pages, PageT
from paidup._channel import Options
from paidup._lines import Line, Lines

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


class AsyncioLines(Lines[grpc.aio.Channel]):
    """Channels that belong to an event loop."""

    _closing: asyncio.Future[Any]

    def _open_channel(self, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
        # gRPC binds a channel to a loop; without one it would choose one that never runs.
        asyncio.get_running_loop()
        address, arguments = self._endpoint.address, self._arguments
        if credentials is None:
            return grpc.aio.insecure_channel(address, arguments)
        return grpc.aio.secure_channel(address, credentials, arguments)

    def _connect(self, line: Line[grpc.aio.Channel]) -> None:
        line.channel.get_state(try_to_connect=True)

    def _is_ready(self, line: Line[grpc.aio.Channel]) -> bool:
        return line.channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY

    def _is_connected(self, line: Line[grpc.aio.Channel]) -> bool:
        return line.channel.get_state() is grpc.ChannelConnectivity.READY

    def _close(self, line: Line[grpc.aio.Channel]) -> None:
        # Nothing is under way, so it ends at once; a task that nobody holds might not.
        self._closing = asyncio.ensure_future(line.channel.close())

    async def close(self) -> None:
        for line in self.end():
            await line.channel.close()


class AsyncioClient(BaseClient):
    """How any of the services is called from asyncio."""

    _lines: AsyncioLines

    def _open(self, channel_arguments: Options) -> None:
        self._lines = AsyncioLines(
            self._endpoint, channel_arguments, rpcs=self._rpcs, streams=self._streams
        )

    async def wait_for_ready(self, *, timeout: float = 30.0) -> None:  # noqa: ASYNC109 - as calls
        """Wait until a server can be called, at start-up for example.

        Raises `Unavailable` after `timeout` seconds.
        """
        self._require_open()
        try:
            with self._lines.borrow() as line:
                async with asyncio.timeout(timeout):
                    await line.channel.channel_ready()
        except TimeoutError as error:
            raise self._not_ready(timeout) from error

    async def close(self) -> None:
        """Close the connection. Calls that still wait end with RuntimeError."""
        self._closed = True
        await self._lines.close()

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
        metadata = self._bearer.metadata()
        try:
            with self._lines.borrow() as line:
                send = line.methods[call.rpc.path]
                response = await send(call.request, timeout=call.timeout, metadata=metadata)
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
    _streams = (WATCH_ENTITLEMENTS,)
