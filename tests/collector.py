"""A collector of traces: takes OTLP over HTTP, as the real ones do, and keeps all spans."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

PATH = "/v1/traces"


@dataclass(frozen=True, kw_only=True)
class Span:
    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    #: Ids of traces and spans.
    links: list[tuple[str, str]]
    facts: dict[str, str | int | bool | float]
    failed: bool
    seconds: float

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-01"


@dataclass
class Collector:
    url: str = ""
    spans: list[Span] = field(default_factory=list)
    #: As they came.
    bodies: list[bytes] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        assert request.content_type == "application/x-protobuf"
        self.bodies.append(body)
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _facts(group.resource.attributes)["service.name"]
            for scope in group.scope_spans:
                self.spans.extend(_span(str(service), raw) for raw in scope.spans)
        return web.Response(
            body=ExportTraceServiceResponse().SerializeToString(),
            content_type="application/x-protobuf",
        )

    async def until(self, found: Callable[["Collector"], object], within: float = 20) -> None:
        """Wait until enough has come; what has, is told where it does not."""
        try:
            async with asyncio.timeout(within):
                while not found(self):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(sorted({each.name for each in self.spans})) from None

    def named(self, name: str) -> list[Span]:
        return [each for each in self.spans if each.name == name]

    def of_trace(self, trace_id: str) -> list[Span]:
        return [each for each in self.spans if each.trace_id == trace_id]


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    collector = Collector()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post(PATH, collector.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield collector
    finally:
        await runner.cleanup()


def _span(service: str, raw) -> Span:
    return Span(
        service=service,
        name=raw.name,
        trace_id=raw.trace_id.hex(),
        span_id=raw.span_id.hex(),
        parent_id=raw.parent_span_id.hex(),
        links=[(link.trace_id.hex(), link.span_id.hex()) for link in raw.links],
        facts=_facts(raw.attributes),
        failed=raw.status.code == raw.status.STATUS_CODE_ERROR,
        seconds=(raw.end_time_unix_nano - raw.start_time_unix_nano) / 1e9,
    )


def _facts(attributes) -> dict[str, str | int | bool | float]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
