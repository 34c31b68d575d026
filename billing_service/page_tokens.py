"""Page tokens: opaque text that says where the next page begins, and of what list."""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime

from billing_service.errors import InvalidToken

DEFAULT_PAGE = 20
LONGEST_PAGE = 100
_FIELD = "page_token"


def page_size(asked: int) -> int:
    """Give the size of a page: zero means the default, and more than the most is the most."""
    return min(asked or DEFAULT_PAGE, LONGEST_PAGE)


def encode(key: Sequence[str], *, of: Sequence[str]) -> str:
    """Make the token of the page after `key`, in the list that `of` names."""
    text = json.dumps([_digest(of), *key], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(token: str, *, of: Sequence[str]) -> list[str]:
    """Read a token back; raise `InvalidToken` for one of another list."""
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        digest, *key = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error, RecursionError) as error:
        raise InvalidToken(_FIELD) from error
    if digest != _digest(of) or not all(isinstance(part, str) for part in key):
        raise InvalidToken(_FIELD)
    return [str(part) for part in key]


def moment_and_id(key: Sequence[str]) -> tuple[datetime, str]:
    """Read the key of a list in the order of times, and of ids where times are the same."""
    try:
        time, id_ = key
        moment = datetime.fromisoformat(time)
    except ValueError as error:
        raise InvalidToken(_FIELD) from error
    if moment.tzinfo is not UTC or not id_.isprintable():
        raise InvalidToken(_FIELD)
    return moment, id_


def _digest(of: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(list(of)).encode()).hexdigest()[:16]
