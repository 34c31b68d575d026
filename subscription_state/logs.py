"""Log lines of every process: one event, its facts as fields, nothing secret."""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from subscription_state import request_ids, tracing

#: What must never be written: keys, signing secrets, client secrets, callers' tokens,
#: passwords in addresses of databases, e-mail addresses.
_SECRET = re.compile(
    r"(?:sk|rk)_(?:org_)?(?:test|live)_\w+"
    r"|whsec_[\w+/=]+"
    r"|pdtk_[\w-]+"
    r"|eyJ[\w-]{10,}(?:\.[\w-]+){0,2}"
    r"|(?:cs|pi|seti)_\w+_secret_[^\s\"'\\,;)\]}]+"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
    # Looked for from the start of a word only, or a long one would take very long.
    r"|(?<![\w.+-])[\w.+-]+@[\w-]+\.[\w.-]+"
)
REDACTED = "[redacted]"

#: Structlog's own, taken out again before a line is written.
_META = frozenset({"_record", "_from_structlog"})


def configure(log_format: Literal["json", "console"]) -> None:
    """Send the process's log to standard error, other libraries' lines included."""
    shared: list[Processor] = [
        _of_the_call,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # Tracebacks are text by then, and without secrets.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    for name in ("stripe", "aiohttp.access", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _of_the_call(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Name the call and the trace in every line that is written on their behalf."""
    request_id = request_ids.current()
    named = {"request_id": request_id} if request_id else {}
    return {**named, **tracing.ids(), **event}


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Take secrets out of every text, at any depth; the last guard, not the first."""
    return {key: value if key in _META else _without_secrets(value) for key, value in event.items()}


def _without_secrets(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {_without_secrets(str(key)): _without_secrets(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_without_secrets(each) for each in value]
    # Whatever else it is, this is the text of it that would be written.
    return _SECRET.sub(REDACTED, value if isinstance(value, str) else repr(value))
