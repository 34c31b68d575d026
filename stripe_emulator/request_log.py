"""Which API calls came in, for tests that count them."""

import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from stripe_emulator.api_faults import UNANSWERED

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

KEPT = 10_000
LONGEST_PATH = 200
PREFIX = "/v1/"


class RequestLog:
    """The newest calls; neither queries nor bodies nor keys, for they hold secrets."""

    def __init__(self) -> None:
        self._calls: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._total = 0

    def to_json(self) -> dict[str, Any]:
        return {"total": self._total, "requests": list(self._calls)}

    def clear(self) -> None:
        self._calls.clear()
        self._total = 0

    def add(self, request: web.Request, began: float, status: int | None) -> None:
        self._total += 1
        self._calls.append(
            {
                "time": began,
                "method": request.method,
                "path": request.path[:LONGEST_PATH],
                "status": status,
                "idempotency_key": "Idempotency-Key" in request.headers,
            }
        )


def logging_to(log: RequestLog) -> Any:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith(PREFIX):
            return await handler(request)
        began, status = time.time(), None
        try:
            response = await handler(request)
            status = None if request.get(UNANSWERED) else response.status
        finally:
            log.add(request, began, status)
        return response

    return middleware
