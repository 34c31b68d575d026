"""The client for code without asyncio."""

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

import grpc

from paidup import _calls
from paidup._base_client import BaseClient, describe, serialize
from paidup._calls import RPCS, WATCH_ENTITLEMENTS, Call, Pages, PageT

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


class BlockingClient(BaseClient):
    """How any of the services is called without asyncio."""

    def _open(self) -> None:
        credentials = self._endpoint.credentials()
        address, arguments = self._endpoint.address, self._channel_arguments
        if credentials is None:
            self._channel = grpc.insecure_channel(address, arguments)
        else:
            self._channel = grpc.secure_channel(address, credentials, arguments)
        self._methods = {
            rpc.path: self._channel.unary_unary(rpc.path, serialize, rpc.response.FromString)
            for rpc in self._rpcs
        }

    def wait_for_ready(self, *, timeout: float = 30.0) -> None:
        """Wait until a server can be called, at start-up for example.

        Raises `Unavailable` after `timeout` seconds.
        """
        self._require_open()
        ready = grpc.channel_ready_future(self._channel)
        try:
            ready.result(timeout)
        except grpc.FutureTimeoutError as error:
            raise self._not_ready(timeout) from error
        finally:
            ready.cancel()

    def close(self) -> None:
        """Close the connection. Calls that still wait end with RuntimeError."""
        self._closed = True
        self._channel.close()

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
        send = self._methods[call.rpc.path]
        try:
            response = send(call.request, timeout=call.timeout, metadata=self._endpoint.metadata())
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

    def _open(self) -> None:
        super()._open()
        watch = WATCH_ENTITLEMENTS
        self._watch = self._channel.unary_stream(watch.path, serialize, watch.response.FromString)
