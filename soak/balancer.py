"""The load balancer before the gateways: whichever is there takes the connection."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import Self

CHUNK = 65_536


class Balancer:
    """Hands TCP connections to backends in turn, past those that are down."""

    def __init__(self, backends: Sequence[str]) -> None:
        self._backends = [backend.rpartition(":") for backend in backends]
        self._turn = count()
        self.address = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        backend = await self._connected()
        if backend is not None:
            theirs, ours = backend
            await asyncio.gather(_pipe(reader, ours), _pipe(theirs, writer))
        writer.close()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        first = next(self._turn)
        for offset in range(len(self._backends)):
            host, _, port = self._backends[(first + offset) % len(self._backends)]
            with suppress(OSError):
                return await asyncio.open_connection(host, int(port))
        return None


async def _pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    # A process that is killed cuts its connections; to the other side that is an end.
    with suppress(OSError):
        while chunk := await source.read(CHUNK):
            sink.write(chunk)
            await sink.drain()
    with suppress(OSError):
        sink.close()
