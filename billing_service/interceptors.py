"""What every call passes through: admission, errors as statuses, counts and log lines.

One wrapper a method, made once, rather than a chain made a call.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import cache, partial
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError

from billing_service import metrics
from billing_service.access import Access
from billing_service.answer_cache import AnswerCache
from billing_service.call_log import CHECKS_ONE_IN, CallLog
from billing_service.call_traces import traced
from billing_service.caller_limits import CallerLimits
from billing_service.error_status import StatusAnswer, status_for
from billing_service.errors import InvalidRequest, Overloaded, Violation
from subscription_state import request_ids

Context = grpc.aio.ServicerContext
Behavior = Callable[[Any, Context], Awaitable[Any]]

#: Calls of a method at a time, above which it takes no more.
MOST_CALLS = {"CheckEntitlement": 2000, "ListEntitlements": 2000, "WatchEntitlements": 1000}
MOST_CALLS_OF_OTHERS = 200
#: Streams whose messages come encoded, once for all who watch.
ENCODED = frozenset({"WatchEntitlements"})

#: How metrics tell the kinds of methods apart.
UNARY, STREAM = "unary", "server_stream"
_NO_MESSAGE = Violation(field="request", description="The bytes are no message of the method's.")

STATUS_DETAILS = "grpc-status-details-bin"


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps the methods of our own services; health and reflection pass untouched."""

    def __init__(
        self,
        most_calls: dict[str, int] | None = None,
        limits: CallerLimits | None = None,
        *,
        access: Access | None = None,
        answers: Mapping[str, AnswerCache] | None = None,
        log_checks_one_in: int = CHECKS_ONE_IN,
    ) -> None:
        """Build it; without `access`, everybody may call everything.

        `answers` are kept by method, behind all that a call passes through.
        """
        self._most_calls = MOST_CALLS | (most_calls or {})
        self._limits = limits or CallerLimits()
        self._access = access
        self._answers = answers or {}
        self._log_checks_one_in = log_checks_one_in
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
        if method in self._answers:
            handler = self._answers[method].around(handler)
        behavior = handler.unary_stream or handler.unary_unary
        call = _Call(
            labels=(STREAM if handler.response_streaming else UNARY, service, method),
            behavior=self._limits.around(behavior, streams=handler.response_streaming),
            most=self._most_calls.get(method, MOST_CALLS_OF_OTHERS),
            log=CallLog(method, checks_one_in=self._log_checks_one_in),
        )
        if self._access is not None:
            call.guard(self._access, method, streaming=handler.response_streaming)
        make = (
            grpc.unary_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.unary_unary_rpc_method_handler
        )
        return make(
            traced(call.handle, service=service, method=method),
            request_deserializer=_readable(handler.request_deserializer),
            response_serializer=None if method in ENCODED else handler.response_serializer,
        )


class _Call:
    """One method with all that surrounds it."""

    def __init__(
        self, *, labels: tuple[str, str, str], behavior: Behavior, most: int, log: CallLog
    ) -> None:
        self._behavior = behavior
        self._free = most
        self._log = log
        self._serve: Behavior = self._admitted
        self._started = metrics.STARTED.labels(*labels)
        self._seconds = metrics.HANDLING_SECONDS.labels(*labels)
        #: By code; finding one anew takes longer than counting it.
        self._handled = cache(partial(metrics.HANDLED.labels, *labels))

    def guard(self, access: Access, method: str, *, streaming: bool) -> None:
        """Have callers asked who they are, before they take a place or anything else."""
        self._serve = access.guarded(method, self._admitted, streaming=streaming)

    async def handle(self, request: Any, context: Context) -> Any:
        began = time.perf_counter()
        self._started.inc()
        _identify(context)
        code = "OK"
        try:
            return await self._serve(request, context)
        except asyncio.CancelledError:
            code = "CANCELLED"
            raise
        except grpc.aio.AbortError:
            code = _code_of(context)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets a status
            answer = status_for(error)
            code = answer.code
            if code == "INTERNAL":
                self._log.failed(error)
            await _abort(context, answer)
        finally:
            elapsed = time.perf_counter() - began
            self._seconds.observe(elapsed)
            self._handled(code).inc()
            self._log.ended(code, elapsed)

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


def _identify(context: Context) -> None:
    """Give the call its caller's id, or one of ours; it goes back with whatever is answered."""
    request_id = request_ids.given(context.invocation_metadata() or ()) or request_ids.new()
    request_ids.use(request_id)
    context.set_trailing_metadata(((request_ids.HEADER, request_id),))


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
        trailing_metadata=(
            (STATUS_DETAILS, answer.details),
            (request_ids.HEADER, request_ids.current()),
        ),
    )
    raise AssertionError("unreachable")
