"""Bodies of strangers, read within bounds of size, time and memory."""

import asyncio

from aiohttp import StreamReader, web

from webhook_gateway.refusals import Reason, Refused

MAX_BODY = 1024 * 1024
#: How much all unfinished bodies together may hold, in bytes. None of them has
#: shown a right signature yet.
MAX_UNFINISHED = 64 * 1024 * 1024
READ_TIMEOUT = 10.0


class BodyReader:
    """Reads request bodies as they came over the wire: that is what was signed."""

    def __init__(self, *, timeout: float = READ_TIMEOUT) -> None:
        self._timeout = timeout
        self._unfinished = 0

    async def read(self, request: web.Request) -> bytes:
        if (request.content_length or 0) > MAX_BODY:
            raise Refused(Reason.BODY_TOO_LARGE)
        body = bytearray()
        try:
            async with asyncio.timeout(self._timeout):
                await self._fill(body, request.content)
        except TimeoutError as error:
            raise Refused(Reason.BODY_TOO_SLOW) from error
        except (ConnectionError, web.RequestPayloadError) as error:
            raise Refused(Reason.BODY_CUT) from error
        finally:
            self._unfinished -= len(body)
        return bytes(body)

    async def _fill(self, body: bytearray, content: StreamReader) -> None:
        while chunk := await content.readany():
            body.extend(chunk)
            self._unfinished += len(chunk)
            if len(body) > MAX_BODY:
                raise Refused(Reason.BODY_TOO_LARGE)
            if self._unfinished > MAX_UNFINISHED:
                raise Refused(Reason.OVERLOADED)
