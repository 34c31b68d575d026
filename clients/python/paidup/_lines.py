"""Channels that take each other's place when certificates are renewed.

gRPC for Python gives a channel its certificates once. So renewed ones need another
channel. The first goes on until the second is connected, and is closed when the
last call over it has ended: no call fails because certificates were renewed, nor
because the service does not accept the new ones yet.
"""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from operator import methodcaller
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import grpc

from paidup._calls import Rpc
from paidup._certificates import certificates_in
from paidup._channel import Options
from paidup._endpoint import Endpoint, Tls, TlsFiles

log = logging.getLogger("paidup.credentials")

_serialize = methodcaller("SerializeToString")

#: `grpc.Channel` or `grpc.aio.Channel`.
ChannelT = TypeVar("ChannelT")

#: After so many seconds without a connection, renewed certificates are worth a warning.
PATIENCE = 30.0


class Line(Generic[ChannelT]):
    """A channel, what can be called over it, and how many calls are under way.

    `with` ends the use of one that was borrowed.
    """

    def __init__(
        self, lines: "Lines[ChannelT]", channel: ChannelT, methods: Mapping[str, Any], tls: Tls
    ) -> None:
        self._lines = lines
        self.channel = channel
        #: What calls an RPC, by its path.
        self.methods = methods
        self.tls = tls
        self.calls = 0
        self.is_ready = False
        self.warn_at = time.monotonic() + PATIENCE

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_class: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lines.give_back(self)


class Lines(ABC, Generic[ChannelT]):
    """The line for calls that begin now, and those on which earlier calls still end."""

    def __init__(
        self,
        endpoint: Endpoint,
        arguments: Options,
        *,
        rpcs: Sequence[Rpc[Any]],
        streams: Sequence[Rpc[Any]],
    ) -> None:
        """Open the first. Raises OSError or ValueError for certificates that cannot be used."""
        self._endpoint = endpoint
        self._arguments = arguments
        self._rpcs = rpcs
        self._streams = streams
        self._certificates: Callable[[], Tls] | None = None
        if isinstance(endpoint.tls, TlsFiles):
            self._certificates = certificates_in(endpoint.tls)
        self._lock = threading.Lock()
        self._closed = False
        self._next: Line[ChannelT] | None = None
        self._retired: set[Line[ChannelT]] = set()
        self._current = self._open(self._tls())

    def borrow(self) -> Line[ChannelT]:
        """Return the line for a call that begins now, to be used with `with`."""
        if self._certificates is None:
            # Nothing will take its place.
            return self._current
        with self._lock:
            if not self._closed:
                self._follow(self._certificates())
            self._current.calls += 1
            return self._current

    def give_back(self, line: Line[ChannelT]) -> None:
        if self._certificates is None:
            return
        with self._lock:
            line.calls -= 1
            if self._retired:
                self._close_unused()

    def end(self) -> list[Line[ChannelT]]:
        """Open no more; return those that are open, to be closed."""
        with self._lock:
            self._closed = True
            return [self._current, *filter(None, [self._next]), *self._retired]

    def _follow(self, tls: Tls) -> None:
        newest = self._next or self._current
        if tls is not newest.tls:
            self._begin(tls)
        if self._next is not None and self._is_ready(self._next):
            self._promote(self._next)
        self._warn(self._next)

    def _begin(self, tls: Tls) -> None:
        if self._next is not None:
            self._retired.add(self._next)
            self._close_unused()
        self._next = self._open(tls)
        if not self._is_connected(self._current):
            # Nothing is lost with it, and what it would connect with is out of date.
            self._promote(self._next)
            return
        self._connect(self._next)

    def _promote(self, line: Line[ChannelT]) -> None:
        log.info("calls to %s go by the renewed certificates", self._endpoint.address)
        self._retired.add(self._current)
        self._current, self._next = line, None
        self._close_unused()

    def _warn(self, line: Line[ChannelT] | None) -> None:
        if line is None or time.monotonic() < line.warn_at:
            return
        line.warn_at = float("inf")
        log.warning(
            "no connection to %s by the renewed certificates yet; calls go by the earlier ones",
            self._endpoint.address,
        )

    def _close_unused(self) -> None:
        for line in [each for each in self._retired if not each.calls]:
            self._retired.discard(line)
            self._close(line)

    def _tls(self) -> Tls:
        if self._certificates is not None:
            return self._certificates()
        return self._endpoint.tls if isinstance(self._endpoint.tls, Tls) else Tls()

    def _open(self, tls: Tls) -> Line[ChannelT]:
        channel = self._open_channel(None if self._endpoint.in_plaintext else _credentials(tls))
        return Line(self, channel, self._methods(channel), tls)

    def _methods(self, channel: Any) -> dict[str, Any]:
        unary = {
            rpc.path: channel.unary_unary(rpc.path, _serialize, rpc.response.FromString)
            for rpc in self._rpcs
        }
        streams = {
            rpc.path: channel.unary_stream(rpc.path, _serialize, rpc.response.FromString)
            for rpc in self._streams
        }
        return {**unary, **streams}

    @abstractmethod
    def _open_channel(self, credentials: grpc.ChannelCredentials | None) -> ChannelT:
        """Make a channel; without credentials, in plaintext."""

    @abstractmethod
    def _connect(self, line: Line[ChannelT]) -> None:
        """Have a line connect before it is used."""

    @abstractmethod
    def _is_ready(self, line: Line[ChannelT]) -> bool:
        """Tell whether a line that was to connect has done so."""

    @abstractmethod
    def _is_connected(self, line: Line[ChannelT]) -> bool:
        """Tell whether any line is connected now."""

    @abstractmethod
    def _close(self, line: Line[ChannelT]) -> None:
        """Close a line over which nothing is called."""


def _credentials(tls: Tls) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        tls.root_certificates, tls.private_key, tls.certificate_chain
    )
