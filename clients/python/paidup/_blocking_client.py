"""The client for code without asyncio."""

import queue
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

import grpc

from paidup import _calls
from paidup._base_client import BaseClient, describe
from paidup._calls import RPCS, WATCH_ENTITLEMENTS, Call, Pages, PageT
from paidup._channel import Options
from paidup._lines import Line, Lines

P = ParamSpec("P")
Answer = TypeVar("Answer")
Item = TypeVar("Item")


def blocking(
    build: Callable[P, Call[Answer]],
) -> "Callable[Concatenate[BlockingClient, P], Answer]":
    """Make a method that sends the call that `build` makes."""

    def method(self: "BlockingClient", /, *args: P.args, **kwargs: P.kwargs) -> Answer:
        return self._send(build(*args, **kwargs))

    describe(method, build)
    return method


def iterated(
    build: Callable[P, Pages[PageT, Item]],
) -> "Callable[Concatenate[BlockingClient, P], Iterator[Item]]":
    """Make a method that goes through the pages that `build` tells of."""

    def method(self: "BlockingClient", /, *args: P.args, **kwargs: P.kwargs) -> Iterator[Item]:
        pages = build(*args, **kwargs)
        call: Call[PageT] | None = pages.first
        while call is not None:
            page = self._send(call)
            yield from pages.items(page)
            call = pages.after(page)

    describe(method, build, Iterator)
    return method


class BlockingLines(Lines[grpc.Channel]):
    """Channels that threads share."""

    #: In seconds. gRPC has a thread tell a channel's state, which takes a moment.
    LONGEST_LOOK = 1.0

    def _open_channel(self, credentials: grpc.ChannelCredentials | None) -> grpc.Channel:
        address, arguments = self._endpoint.address, self._arguments
        if credentials is None:
            return grpc.insecure_channel(address, arguments)
        return grpc.secure_channel(address, credentials, arguments)

    def _connect(self, line: Line[grpc.Channel]) -> None:
        def told(state: grpc.ChannelConnectivity) -> None:
            if state is grpc.ChannelConnectivity.READY:
                line.is_ready = True
                line.channel.unsubscribe(told)

        line.channel.subscribe(told, try_to_connect=True)

    def _is_ready(self, line: Line[grpc.Channel]) -> bool:
        return line.is_ready

    def _is_connected(self, line: Line[grpc.Channel]) -> bool:
        states: queue.SimpleQueue[grpc.ChannelConnectivity] = queue.SimpleQueue()
        line.channel.subscribe(states.put)
        try:
            return states.get(timeout=self.LONGEST_LOOK) is grpc.ChannelConnectivity.READY
        except queue.Empty:
            return False
        finally:
            line.channel.unsubscribe(states.put)

    def _close(self, line: Line[grpc.Channel]) -> None:
        line.channel.close()

    def close(self) -> None:
        for line in self.end():
            line.channel.close()


class BlockingClient(BaseClient):
    """How any of the services is called without asyncio."""

    _lines: BlockingLines

    def _open(self, channel_arguments: Options) -> None:
        self._lines = BlockingLines(
            self._endpoint, channel_arguments, rpcs=self._rpcs, streams=self._streams
        )

    def wait_for_ready(self, *, timeout: float = 30.0) -> None:
        """Wait until a server can be called, at start-up for example.

        Raises `Unavailable` after `timeout` seconds.
        """
        self._require_open()
        with self._lines.borrow() as line:
            ready = grpc.channel_ready_future(line.channel)
            try:
                ready.result(timeout)
            except grpc.FutureTimeoutError as error:
                raise self._not_ready(timeout) from error
            finally:
                ready.cancel()

    def close(self) -> None:
        """Close the connection. Calls that still wait end with RuntimeError."""
        self._closed = True
        self._lines.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_class: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _send(self, call: Call[Answer]) -> Answer:
        self._require_open()
        metadata = self._bearer.metadata()
        try:
            with self._lines.borrow() as line:
                send = line.methods[call.rpc.path]
                response = send(call.request, timeout=call.timeout, metadata=metadata)
        except grpc.RpcError as failed:
            raise self._failure(failed) from failed
        return call.read(response)


class BlockingBillingClient(BlockingClient):
    """Calls the billing service and waits for each answer. Threads may share one.

    Keep it: it holds one connection to each server. `with` closes it. Make it
    after forking, not before. Calls raise what `PaidupError` describes.
    """

    create_checkout_session = blocking(_calls.create_checkout_session)
    get_session_status = blocking(_calls.get_session_status)
    create_portal_session = blocking(_calls.create_portal_session)
    check_entitlement = blocking(_calls.check_entitlement)
    entitled = blocking(_calls.entitled)
    batch_check_entitlements = blocking(_calls.batch_check_entitlements)
    list_entitlements = blocking(_calls.list_entitlements)
    list_subscriptions = blocking(_calls.list_subscriptions)
    iter_subscriptions = iterated(_calls.iter_subscriptions)

    _rpcs = RPCS
    _streams = (WATCH_ENTITLEMENTS,)
