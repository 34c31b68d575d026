"""Connections of strangers, within bounds of number, time and memory.

Stands between the sockets and aiohttp, which bounds a head's size and how long a
connection may be idle, and neither how slowly a head may come nor how many there are.
"""

import asyncio
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

from aiohttp import web

from webhook_gateway import answers
from webhook_gateway.metrics import Metrics
from webhook_gateway.refusals import Reason

#: Connections at a time. Above that the one that has had no request for longest is closed.
MAX_CONNECTIONS = 2000
#: Files that the process needs beside its connections.
SPARE_FILES = 64
#: How long the head of a request may take from its first byte, and a request until it is
#: answered, in seconds. The latter is longer than body and commit together.
HEAD_TIMEOUT = 10.0
REQUEST_TIMEOUT = 30.0
#: How much all unfinished heads together may hold, in bytes.
MAX_UNFINISHED_HEADS = 32 * 1024 * 1024

#: Why a connection was closed by us; what its metric is labelled with.
SLOW_HEAD = "slow_head"
SLOW_REQUEST = "slow_request"
HEADS_TOO_LARGE = "heads_too_large"
MADE_ROOM = "made_room"


def most_connections() -> int:
    """Give how many the process may have: no more than it may open files."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, min(MAX_CONNECTIONS, files - SPARE_FILES))


class Connections:
    """All connections of the process."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        most: int,
        head_timeout: float = HEAD_TIMEOUT,
        request_timeout: float = REQUEST_TIMEOUT,
    ) -> None:
        self._metrics = metrics
        self._most = most
        self.head_timeout = head_timeout
        self.request_timeout = request_timeout
        self._open = 0
        #: Those that have no request, the longest waiting first.
        self._waiting: dict[Connection, None] = {}
        self._unfinished = 0

    def opened(self, connection: "Connection") -> bool:
        """Take a connection in; False where there is no room and none can be made."""
        if self._open >= self._most and not self._make_room():
            self._metrics.refused.labels(Reason.TOO_MANY_CONNECTIONS.value).inc()
            return False
        self._add(1)
        self._waiting[connection] = None
        return True

    def closed(self, connection: "Connection") -> None:
        self._waiting.pop(connection, None)
        self._add(-1)

    def waits(self, connection: "Connection") -> None:
        self._waiting[connection] = None

    def works(self, connection: "Connection") -> None:
        self._waiting.pop(connection, None)

    def holds(self, size: int) -> bool:
        """Count bytes of unfinished heads; False where they are too many."""
        self._unfinished += size
        return self._unfinished <= MAX_UNFINISHED_HEADS

    def cut(self, cause: str) -> None:
        self._metrics.connections_cut.labels(cause).inc()

    def _make_room(self) -> bool:
        longest = next(iter(self._waiting), None)
        if longest is None:
            return False
        longest.cut(MADE_ROOM)
        return True

    def _add(self, number: int) -> None:
        self._open += number
        self._metrics.connections.set(self._open)


class Connection(asyncio.Protocol):
    """One connection: either waits for the head of a request, or works on one."""

    def __init__(self, connections: Connections, http: asyncio.Protocol) -> None:
        self._connections = connections
        self._http = http
        self._transport: asyncio.Transport | None = None
        self._admitted = self._working = False
        self._deadline: asyncio.TimerHandle | None = None
        self._held = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Of TCP, as all that come through the door.
        self._transport = tcp = cast("asyncio.Transport", transport)
        self._admitted = self._connections.opened(self)
        if not self._admitted:
            tcp.write(answers.before_a_request(Reason.TOO_MANY_CONNECTIONS))
            tcp.close()
            return
        self._http.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if not self._admitted:
            return
        if not self._working and not self._is_within_bounds(len(data)):
            self.cut(HEADS_TOO_LARGE)
            return
        self._http.data_received(data)

    def eof_received(self) -> bool | None:
        return self._http.eof_received() if self._admitted else None

    def pause_writing(self) -> None:
        self._http.pause_writing()

    def resume_writing(self) -> None:
        self._http.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._admitted:
            return
        self._admitted = False
        self._forget()
        self._connections.closed(self)
        self._http.connection_lost(exc)

    def begin(self) -> None:
        """Note that a request's head has come whole, and is worked on."""
        self._working = True
        self._forget()
        self._connections.works(self)
        self._within(self._connections.request_timeout, SLOW_REQUEST)

    def end(self) -> None:
        """Note that it was answered."""
        self._working = False
        self._forget()
        if self._admitted:
            self._connections.waits(self)

    def cut(self, cause: str) -> None:
        """Close it now, whatever its other end does."""
        self._connections.cut(cause)
        if self._transport is not None:
            self._transport.abort()
        self.connection_lost(None)

    def _is_within_bounds(self, size: int) -> bool:
        if self._deadline is None:
            self._within(self._connections.head_timeout, SLOW_HEAD)
        self._held += size
        return self._connections.holds(size)

    def _within(self, seconds: float, cause: str) -> None:
        self._deadline = asyncio.get_running_loop().call_later(seconds, self.cut, cause)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._connections.holds(-self._held)
        self._held = 0


class Door(web.BaseSite):
    """Where a runner's application is reached, each connection within its bounds."""

    def __init__(
        self, runner: web.AppRunner, connections: Connections, host: str, port: int, *, backlog: int
    ) -> None:
        super().__init__(runner, backlog=backlog)
        self._connections = connections
        self._host = host
        self._port = port

    @property
    def name(self) -> str:
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        await super().start()
        self._server = await asyncio.get_running_loop().create_server(
            self._connection,
            self._host,
            self._port,
            backlog=self._backlog,
        )

    def _connection(self) -> Connection:
        # `BaseSite` refuses a runner that was not set up.
        http = cast("Callable[[], asyncio.Protocol]", self._runner.server)
        return Connection(self._connections, http())


@contextmanager
def working(request: web.Request) -> Iterator[None]:
    """Tell the connection that its request has come, and in the end that it is answered."""
    transport = request.transport
    connection = transport.get_protocol() if transport is not None else None
    if not isinstance(connection, Connection):
        yield  # It has gone already.
        return
    connection.begin()
    try:
        yield
    finally:
        connection.end()
