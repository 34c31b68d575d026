"""Traces of what a call or an event sets off, over processes and through the database.

They are off unless OpenTelemetry's own variables name a collector. Off, a span is one that
everybody shares and that does nothing, and nothing of OpenTelemetry is imported.
"""

import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Literal, Protocol, Self

from subscription_state.settings import SettingsInvalid

Fact = str | bool | int | float
Facts = Mapping[str, Fact | None]
Kind = Literal["internal", "server", "client"]

#: Either names a collector.
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
#: The first that is set counts; there is no other protocol here.
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
SPOKEN = "http/protobuf"
HEADERS = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")


class Span(Protocol):
    """A piece of work that goes on."""

    @property
    def traceparent(self) -> str | None:
        """Name it as W3C's Trace Context does; None where nobody would see what follows it."""

    def note(self, facts: Facts) -> None:
        """Add facts; those that are None are left out."""

    def link(self, traceparents: Iterable[str]) -> None:
        """Name spans that brought this one about; its parent is not named again."""

    def fail(self, error_type: str) -> None:
        """Note that it went wrong, and by what name; never with a text, which may hold anything."""


class Tracer(Protocol):
    """Where spans go."""

    def span(
        self,
        name: str,
        facts: Facts,
        *,
        kind: Kind,
        caller: Mapping[str, str],
        follows: list[str],
        ago: float,
    ) -> AbstractContextManager[Span]:
        """See `span` below."""

    def ids(self) -> dict[str, str]:
        """Give the ids of the current span for a log line."""

    def close(self) -> None:
        """Send what has not been sent, unless that takes long."""


class _Unseen:
    """The span of all work that is not traced."""

    traceparent = None

    def note(self, facts: Facts) -> None:
        pass

    def link(self, traceparents: Iterable[str]) -> None:
        pass

    def fail(self, error_type: str) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass


_UNSEEN = _Unseen()
_tracer: Tracer | None = None


def begin(service: str) -> None:
    """Trace from here on, where the environment asks for it; raise `SettingsInvalid`.

    `service` is the process' name where `OTEL_SERVICE_NAME` gives no other.
    """
    global _tracer  # noqa: PLW0603 - one a process, as its log and its metrics are
    if not _is_wanted(os.environ):
        return
    from subscription_state.otlp import OtlpTracer  # noqa: PLC0415 - see the module

    try:
        _tracer = OtlpTracer(service)
    except ValueError as error:
        # Its text may show a value, such as a header with a key.
        raise SettingsInvalid("OTEL_…: one of the variables has a value of another kind") from error


def end() -> None:
    """Send what has not been sent, and trace no more."""
    global _tracer
    ended, _tracer = _tracer, None
    if ended is not None:
        ended.close()


def is_on() -> bool:
    return _tracer is not None


def span(
    name: str,
    facts: Facts,
    *,
    kind: Kind = "internal",
    caller: Mapping[str, str] | None = None,
    follows: Iterable[str] = (),
    ago: float = 0.0,
) -> AbstractContextManager[Span]:
    """Trace the block: as part of the caller's span, or of the current one, or of what it follows.

    `caller` holds the headers `traceparent` and `tracestate` of whoever calls. `follows` are
    `traceparent`s of spans that brought this about: the first is the parent where there is no
    other. It began `ago` seconds ago.
    """
    if _tracer is None:
        return _UNSEEN
    return _tracer.span(name, facts, kind=kind, caller=caller or {}, follows=list(follows), ago=ago)


def ids() -> dict[str, str]:
    """Give `trace_id` and `span_id` where a span goes on that is seen."""
    return {} if _tracer is None else _tracer.ids()


def _is_wanted(environment: Mapping[str, str]) -> bool:
    named = any(environment.get(name) for name in ENDPOINTS)
    disabled = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if not named or disabled or environment.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    for name in PROTOCOLS:
        if environment.get(name, SPOKEN) not in ("", SPOKEN):
            raise SettingsInvalid(f"{name}: only {SPOKEN} is spoken here")
    for name in HEADERS:
        if not all("=" in each for each in environment.get(name, "").split(",") if each):
            raise SettingsInvalid(f"{name}: must be NAME=VALUE, comma separated")
    return True
