"""What every call passes through: admission, errors as statuses, counts and log lines.

One wrapper a method, made once, rather than a chain made a call.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import cache, partial
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError

from billing_service import metrics
from billing_service.caller_limits import CallerLimits
from billing_service.error_status import StatusAnswer, status_for
from billing_service.errors import InvalidRequest, Overloaded, Violation

log = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext
Behavior = Callable[[Any, Context], Awaitable[Any]]

#: Calls of a method at a time, above which it takes no more.
MOST_CALLS = {"CheckEntitlement": 2000, "ListEntitlements": 2000, "WatchEntitlements": 1000}
MOST_CALLS_OF_OTHERS = 200
#: Checks come by the thousand a second; changes and faults are what a log is read for.
QUIET_METHODS = frozenset({"CheckEntitlement", "BatchCheckEntitlements", "ListEntitlements"})
#: Streams whose messages come encoded, once for all who watch.
ENCODED = frozenset({"WatchEntitlements"})

_NO_MESSAGE = Violation(field="request", description="The bytes are no message of the method's.")

STATUS_DETAILS = "grpc-status-details-bin"


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps the methods of our own services; health and reflection pass untouched."""

    def __init__(
        self, most_calls: dict[str, int] | None = None, limits: CallerLimits | None = None
    ) -> None:
        self._most_calls = MOST_CALLS | (most_calls or {})
        self._limits = limits or CallerLimits()
        self._wrapped: dict[str, Any] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        path = str(handler_call_details.method)
        if path in self._wrapped:
            return self._wrapped[path]
        handler = await continuation(handler_call_details)
        if handler is None or not path.startswith("/paidup."):
            return handler
        self._wrapped[path] = self._wrap(path, handler)
        return self._wrapped[path]

    def _wrap(self, path: str, handler: Any) -> Any:
        service, _, method = path.lstrip("/").partition("/")
        behavior = handler.unary_stream or handler.unary_unary
        call = _Call(
            service=service,
            method=method,
            behavior=self._limits.around(behavior, streams=handler.response_streaming),
            most=self._most_calls.get(method, MOST_CALLS_OF_OTHERS),
        )
        make = (
            grpc.unary_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.unary_unary_rpc_method_handler
        )
        return make(
            call.handle,
            request_deserializer=_readable(handler.request_deserializer),
            response_serializer=None if method in ENCODED else handler.response_serializer,
        )


class _Call:
    """One method with all that surrounds it."""

    def __init__(self, *, service: str, method: str, behavior: Behavior, most: int) -> None:
        self._method = method
        self._behavior = behavior
        self._free = most
        self._started = metrics.STARTED.labels(service, method)
        self._seconds = metrics.HANDLING_SECONDS.labels(service, method)
        #: By code; finding one anew takes longer than counting it.
        self._handled = cache(partial(metrics.HANDLED.labels, service, method))

    async def handle(self, request: Any, context: Context) -> Any:
        began = time.perf_counter()
        self._started.inc()
        code = "OK"
        try:
            return await self._admitted(request, context)
        except asyncio.CancelledError:
            code = "CANCELLED"
            raise
        except grpc.aio.AbortError:
            code = _code_of(context)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets a status
            answer = status_for(error)
            code = answer.code
            self._log_failure(answer, error)
            await _abort(context, answer)
        finally:
            elapsed = time.perf_counter() - began
            self._seconds.observe(elapsed)
            self._handled(code).inc()
            if self._method not in QUIET_METHODS:
                log.info("call", extra=self._facts(code, elapsed))

    async def _admitted(self, request: Any, context: Context) -> Any:
        if self._free <= 0:
            raise Overloaded
        self._free -= 1
        try:
            if request is None:
                raise InvalidRequest(_NO_MESSAGE)
            return await self._behavior(request, context)
        finally:
            self._free += 1

    def _facts(self, code: str, elapsed: float) -> dict[str, Any]:
        return {"method": self._method, "code": code, "milliseconds": round(elapsed * 1000, 1)}

    def _log_failure(self, answer: StatusAnswer, error: Exception) -> None:
        if answer.code == "INTERNAL":
            log.error("call_failed", extra={"method": self._method}, exc_info=error)


def _readable(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Give None for bytes that are no message: gRPC would answer with Python's own words."""

    def read(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError:
            return None

    return read


def _code_of(context: Any) -> str:
    code = context.code()
    return code.name if isinstance(code, grpc.StatusCode) else "UNKNOWN"


async def _abort(context: Context, answer: StatusAnswer) -> NoReturn:
    await context.abort(
        grpc.StatusCode[answer.code],
        answer.message,
        trailing_metadata=((STATUS_DETAILS, answer.details),),
    )
    raise AssertionError("unreachable")
