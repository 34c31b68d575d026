"""A Stripe that says what a test tells it to, over real HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Json = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """One answer; `cut` breaks its body off, `held` lets it wait."""

    body: Any = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    held: asyncio.Event | None = None


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]


Script = Callable[[Call], Answer]


class ScriptedStripe:
    """Answers by method and path; what has no script does not exist."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.came = asyncio.Event()
        self.url = ""
        self._scripts: dict[tuple[str, str], Script] = {}

    def on(self, method: str, path: str, *answers: Answer | Script) -> None:
        """Give these answers in turn, the last of them for ever."""
        left = list(answers)

        def script(call: Call) -> Answer:
            answer = left.pop(0) if len(left) > 1 else left[0]
            return answer(call) if callable(answer) else answer

        self._scripts[method, path] = script

    def paths(self, method: str = "GET") -> list[str]:
        return [call.path for call in self.calls if call.method == method]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        params = {**request.query, **await request.post()}
        call = Call(request.method, request.path, params, request.headers)
        self.calls.append(call)
        self.came.set()
        script = self._scripts.get((request.method, request.path), lambda _: missing(request.path))
        return await _send(request, script(call))


async def _send(request: web.Request, answer: Answer) -> web.StreamResponse:
    if answer.held is not None:
        await answer.held.wait()
    body = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
    headers = {"Request-Id": "req_scripted", **answer.headers}
    if not answer.cut:
        return web.Response(text=body, status=answer.status, headers=headers)
    response = web.StreamResponse(headers={**headers, "Content-Length": str(len(body) + 100)})
    await response.prepare(request)
    await response.write(body.encode())
    request.transport.close()
    return response


def listed(*objects: Json, has_more: bool = False) -> Answer:
    return Answer({"object": "list", "data": list(objects), "has_more": has_more, "url": "/v1/x"})


def refused(status: int = 400, *, message: str = "Some text.", **error: str) -> Answer:
    kind = {"type": "invalid_request_error", "message": message}
    return Answer({"error": kind | error}, status)


def missing(param: str, *, status: int = 404) -> Answer:
    return refused(status, code="resource_missing", param=param)


@asynccontextmanager
async def scripted_stripe() -> AsyncIterator[ScriptedStripe]:
    script = ScriptedStripe()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", script.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    script.url = f"http://{host}:{port}"
    try:
        yield script
    finally:
        await runner.cleanup()
