"""The id of the call or delivery that is being answered: whoever asks may give one.

A context variable: each call has a context of its own, so nothing is handed through.
"""

import re
import secrets
from collections.abc import Iterable
from contextvars import ContextVar
from itertools import count

#: The name in gRPC's metadata; HTTP does not mind the case.
HEADER = "x-request-id"
#: What is taken from a caller. It comes back in an answer and in every log line, so it is
#: short, on one line, and no e-mail address.
_TAKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:=+/-]{0,127}")

_current: ContextVar[str] = ContextVar("request_id", default="")
#: Drawn once: a number behind it is unique too, and made in no time.
_PROCESS = secrets.token_hex(8)
_numbers = count(1)


def current() -> str:
    """Give the id; empty outside of a call."""
    return _current.get()


def use(request_id: str) -> None:
    _current.set(request_id)


def given(metadata: Iterable[tuple[str, str | bytes]]) -> str | None:
    """Find the caller's own id; None where there is none, or none that is taken."""
    for name, value in metadata:
        if name == HEADER:
            return value if isinstance(value, str) and _TAKEN.fullmatch(value) else None
    return None


def new() -> str:
    return f"{_PROCESS}-{next(_numbers):x}"
