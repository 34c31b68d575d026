"""Spans by OpenTelemetry's SDK, sent to a collector over OTLP/HTTP.

Imported only where traces are wanted: it takes memory and time at the start. What there is
to set is read by the SDK from OpenTelemetry's own variables: the sampler, the queue's bounds,
the collector's address and headers, the resource.
"""

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from subscription_state.build import build_version
from subscription_state.tracing import Facts, Kind

#: How long sending the last spans may take, in seconds: no collector holds up the end.
CLOSE_TIMEOUT = 3.0
#: How seldom the sender complains, in seconds.
SILENCE = 60.0
_SENDERS = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.sdk._shared_internal",
)
#: What it does not understand it quotes, and that may be a key.
_READER_OF_HEADERS = "opentelemetry.util.re"
_KINDS: dict[Kind, SpanKind] = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
}
_W3C = TraceContextTextMapPropagator()


class _Seldom(logging.Filter):
    """Lets one line in a while through: a collector that is away is no news the second time."""

    def __init__(self) -> None:
        super().__init__()
        self._silent_until = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        del record
        now = time.monotonic()
        if now < self._silent_until:
            return False
        self._silent_until = now + SILENCE
        return True


class OtlpSpan:
    """A span of the SDK's."""

    def __init__(self, span: trace.Span, follows: Sequence[str]) -> None:
        self._span = span
        #: The first may be the parent.
        self._follows = frozenset(follows[:1])

    @property
    def traceparent(self) -> str | None:
        context = self._span.get_span_context()
        if not context.trace_flags.sampled:
            return None
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def note(self, facts: Facts) -> None:
        self._span.set_attributes({name: fact for name, fact in facts.items() if fact is not None})

    def link(self, traceparents: Iterable[str]) -> None:
        for each in traceparents:
            if each not in self._follows:
                self._span.add_link(_span_context(each))

    def fail(self, error_type: str) -> None:
        self.note({"error.type": error_type})
        self._span.set_status(Status(StatusCode.ERROR))


class OtlpTracer:
    """Makes spans, and has a thread of its own send them in batches."""

    def __init__(self, service: str) -> None:
        resource = Resource.create({SERVICE_VERSION: build_version()})
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: service}))
        logging.getLogger(_READER_OF_HEADERS).setLevel(logging.CRITICAL)
        for name in _SENDERS:
            logging.getLogger(name).addFilter(_Seldom())
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        # Its queue is bounded: what does not fit is dropped, and nobody waits for it.
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("paidup", build_version())

    @contextmanager
    def span(
        self,
        name: str,
        facts: Facts,
        *,
        kind: Kind,
        caller: Mapping[str, str],
        follows: list[str],
        ago: float,
    ) -> Iterator[OtlpSpan]:
        with self._tracer.start_as_current_span(
            name,
            context=_begin_in(caller, follows),
            kind=_KINDS[kind],
            start_time=time.time_ns() - int(ago * 1e9),
            # An exception's text and traceback may hold what nobody should read.
            record_exception=False,
            set_status_on_exception=False,
        ) as started:
            span = OtlpSpan(started, follows)
            span.note(facts)
            try:
                yield span
            except Exception as error:
                # A cancellation is none: whoever waited has gone.
                span.fail(type(error).__name__)
                raise

    def ids(self) -> dict[str, str]:
        context = trace.get_current_span().get_span_context()
        if not context.is_valid:
            return {}
        return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}

    def close(self) -> None:
        # The SDK may wait for a collector that is away; this thread is not waited for.
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_TIMEOUT)


def _begin_in(caller: Mapping[str, str], follows: list[str]) -> Context | None:
    """Give the context to begin in; None for the current one."""
    if "traceparent" in caller:
        return _W3C.extract(caller, Context())
    if trace.get_current_span().get_span_context().is_valid or not follows:
        return None
    parent = trace.NonRecordingSpan(_span_context(follows[0]))
    return trace.set_span_in_context(parent, Context())


def _span_context(traceparent: str) -> SpanContext:
    found = _W3C.extract({"traceparent": traceparent}, Context())
    return trace.get_current_span(found).get_span_context()
