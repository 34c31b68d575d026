"""The stream of changes over every break, from where it was."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import grpc

from paidup._client import BillingClient
from paidup._errors import DeadlineExceeded, PaidupError, Unavailable, from_grpc
from paidup.v1.billing_service_pb2 import WatchEntitlementsRequest, WatchEntitlementsResponse

#: In seconds. The service sends something every five.
LONGEST_SILENCE = 15.0
_SHORTEST_PAUSE = 0.5
_LONGEST_PAUSE = 15.0


async def follow(
    client: BillingClient,
    *,
    accounts: Sequence[str],
    resume_revision: str,
    silence: float,
    interrupted: Callable[[PaidupError], None],
) -> AsyncGenerator[WatchEntitlementsResponse]:
    """Give what the service tells of accounts, heartbeats left out, without end.

    A stream that breaks is told to `interrupted` and resumed. One that never began
    raises its error, and so does one that is refused.
    """
    request = WatchEntitlementsRequest(account_ids=accounts, resume_revision=resume_revision)
    pause, heard = _SHORTEST_PAUSE, False
    while True:
        wait = pause * random.uniform(0.5, 1)  # noqa: S311 - no secret
        try:
            async for message in _stream(client, request, silence):
                pause, heard = _SHORTEST_PAUSE, True
                _note_position(request, message)
                match message.WhichOneof("kind"):
                    case "account" | "reset":
                        yield message
                    case "goodbye":
                        wait = max(0, message.goodbye.retry_delay_millis) / 1000
                        break
        except Unavailable as error:
            if not heard:
                raise
            interrupted(error)
        await asyncio.sleep(min(wait, _LONGEST_PAUSE))
        pause = min(pause * 2, _LONGEST_PAUSE)


def _note_position(request: WatchEntitlementsRequest, message: WatchEntitlementsResponse) -> None:
    """Go on from here next time. What was before a reset is no place to go on from."""
    if message.revision or message.HasField("reset"):
        request.resume_revision = message.revision


async def _stream(
    client: BillingClient, request: WatchEntitlementsRequest, silence: float
) -> AsyncGenerator[WatchEntitlementsResponse]:
    """Give one stream's messages to its end."""
    with client._watching(lambda: request) as call:  # noqa: SLF001 - of one package
        try:
            while True:
                async with asyncio.timeout(silence):
                    message: Any = await call.read()
                if message is grpc.aio.EOF:
                    return
                yield message
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"The service has been silent for {silence:g} seconds.",
                code=grpc.StatusCode.DEADLINE_EXCEEDED,
            ) from error
        except grpc.aio.AioRpcError as failed:
            raise from_grpc(failed) from failed
