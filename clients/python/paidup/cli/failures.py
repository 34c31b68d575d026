"""Errors as one line on stderr."""

import json
import sys
from typing import Any

from paidup._errors import PaidupError
from paidup.cli.output import clean

#: What a person or a script can mend; anything else is a fault of ours.
EXPECTED = (PaidupError, ValueError, OSError)


def tell(error: Exception, *, as_json: bool) -> None:
    """Write what went wrong as one line, of text or of JSON."""
    say(json.dumps({"error": _form(error)}) if as_json else f"paidup: {_line(error)}")


def say(line: str) -> None:
    sys.stderr.write(f"{clean(line)}\n")
    sys.stderr.flush()


def _line(error: Exception) -> str:
    if not isinstance(error, PaidupError):
        return _message(error)
    head = " ".join(filter(None, [error.code.name, _reason(error)]))
    about = [f"{each.field}: {each.description}" for each in error.field_violations]
    about += [f"{key}={value}" for key, value in sorted(error.metadata.items())]
    if error.retry_delay is not None:
        about.append(f"retry after {error.retry_delay.total_seconds():g} s")
    return f"{head}: {error}" + (f" ({'; '.join(about)})" if about else "")


def _form(error: Exception) -> dict[str, Any]:
    if not isinstance(error, PaidupError):
        error = PaidupError(_message(error))
        code = "USAGE"
    else:
        code = error.code.name
    delay = error.retry_delay
    return {
        "code": code,
        "reason": _reason(error) or None,
        "message": str(error),
        "metadata": dict(sorted(error.metadata.items())),
        "field_violations": [
            {"field": each.field, "description": each.description}
            for each in error.field_violations
        ],
        "retry_delay_seconds": None if delay is None else delay.total_seconds(),
    }


def _reason(error: PaidupError) -> str:
    return error.reason_name.removeprefix("ERROR_REASON_")


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)
