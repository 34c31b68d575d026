"""Log lines of every process: one event, its facts as fields, nothing secret."""

import logging
import re
import sys
from typing import Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

#: What must never be written: keys, signing secrets, client secrets, e-mail addresses.
_SECRET = re.compile(
    r"\b(?:sk|rk)_(?:test|live)_\w+"
    r"|\bwhsec_\w+"
    r"|\bcs_(?:test|live)_\w+_secret_\S+"
    r"|[\w.+-]+@[\w-]+\.[\w.-]+"
)
REDACTED = "[redacted]"


def configure(log_format: Literal["json", "console"]) -> None:
    """Send the process's log to standard error, other libraries' lines included."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
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
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
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


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Take secrets out of every text; the last guard, not the first."""
    return {
        key: _SECRET.sub(REDACTED, value) if isinstance(value, str) else value
        for key, value in event.items()
    }
