"""Tokens that were made once and given to their callers. Only their hashes are here."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from billing_service.watched_file import FileInvalid

#: So that a token that went astray can be told from other text.
TOKEN_PREFIX = "pdtk_"  # noqa: S105 - how a token begins, and none
#: Before the name in the file: how callers with a token are named.
KIND = "token:"
MOST_TOKENS = 1000

_NAME = re.compile(r"[\w.-]{1,100}", re.ASCII)
_HASH = re.compile(r"sha256:([0-9a-f]{64})")


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeToken:
    """A new token, and the line that has it known."""

    token: str
    line: str


def make(name: str) -> MadeToken:
    """Make a token of 256 random bits; raise `ValueError` for what cannot be a name."""
    if not _NAME.fullmatch(name):
        raise ValueError("A name has 1 to 100 of the characters A-Z a-z 0-9 . _ -")
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    return MadeToken(token=token, line=f"{name} sha256:{_digest(token).hex()}")


class StaticTokens:
    """The tokens that are valid now. A name may have several, while one replaces another."""

    def __init__(self, names: Sequence[tuple[bytes, str]]) -> None:
        self._names = names

    def caller(self, token: str) -> str | None:
        """Name whose token it is; None where it is nobody's.

        Every hash is compared, so that the time taken tells nothing of them.
        """
        digest = _digest(token)
        found = None
        for known, name in self._names:
            if hmac.compare_digest(known, digest):
                found = KIND + name
        return found


def _digest(token: str) -> bytes:
    # What was drawn from 256 bits cannot be guessed, so the hash need not be slow.
    return hashlib.sha256(token.encode()).digest()


def parse(contents: Sequence[bytes]) -> StaticTokens:
    """Read lines of `NAME sha256:HASH`; empty ones and those that begin with # say nothing."""
    lines = enumerate(contents[0].decode().splitlines(), start=1)
    names = [_entry(number, line) for number, line in lines if line.partition("#")[0].strip()]
    if len(names) > MOST_TOKENS:
        raise FileInvalid(f"has more than {MOST_TOKENS} tokens")
    digests = {digest for digest, _ in names}
    if len(digests) < len(names):
        raise FileInvalid("has a token twice")
    return StaticTokens(names)


def _entry(number: int, line: str) -> tuple[bytes, str]:
    name, _, rest = line.partition("#")[0].strip().partition(" ")
    found = _HASH.fullmatch(rest.strip())
    if not _NAME.fullmatch(name) or found is None:
        raise FileInvalid(f"line {number} is not NAME sha256:HASH")
    return bytes.fromhex(found.group(1)), name
