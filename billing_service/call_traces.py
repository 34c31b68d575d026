"""A span around each call, which goes on from the caller's."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from billing_service.current_call import caller, request_id
from subscription_state import tracing
from subscription_state.tracing import Span

Context = grpc.aio.ServicerContext
Handle = Callable[[Any, Context], Awaitable[Any]]

#: What a caller sends of its own trace.
HEADERS = frozenset({"traceparent", "tracestate"})
#: Codes that tell of a fault of ours, or of what we rest on; all others answer the caller.
FAULTS = frozenset({"UNKNOWN", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})


def traced(handle: Handle, *, service: str, method: str) -> Handle:
    """Wrap a method that ends calls by `abort`; where nothing is traced, it stays as it is."""
    if not tracing.is_on():
        return handle
    name = f"{service}/{method}"
    facts = {"rpc.system.name": "grpc", "rpc.method": name}

    async def in_a_span(request: Any, context: Context) -> Any:
        refusal = None
        with tracing.span(name, facts, kind="server", caller=_headers(context)) as span:
            try:
                answer = await handle(request, context)
            except grpc.aio.AbortError as error:
                # An answer as any other; only some codes make the span one that failed.
                refusal = error
            except asyncio.CancelledError:
                _note(span, "CANCELLED")
                raise
            _note(span, "OK" if refusal is None else _code_of(context))
        if refusal is not None:
            raise refusal
        return answer

    return in_a_span


def _headers(context: Context) -> dict[str, str]:
    sent = context.invocation_metadata() or ()
    return {name: str(value) for name, value in sent if name in HEADERS}


def _note(span: Span, code: str) -> None:
    called = {"paidup.request_id": request_id(), "paidup.caller": caller()}
    span.note({"rpc.response.status_code": code, **called})
    if code in FAULTS:
        span.fail(code)


def _code_of(context: Any) -> str:
    return str(context.code().name)
