"""Revisions as callers see them: opaque text that names a history and a point in it."""

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass

from subscription_state.errors import InvalidRevision

_VERSION = 1
#: version, epoch, number, check
_LAYOUT = struct.Struct(">B8sQ4s")


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Revision:
    """A point in the history of one database."""

    #: 16 hexadecimal digits.
    epoch: str
    number: int

    def __str__(self) -> str:
        packed = _LAYOUT.pack(_VERSION, bytes.fromhex(self.epoch), self.number, self._check())
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> "Revision":
        """Read a revision back; raise `InvalidRevision` unless `str` of one gave the text."""
        try:
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            version, epoch, number, check = _LAYOUT.unpack(base64.urlsafe_b64decode(padded))
        except (ValueError, binascii.Error, struct.error) as error:
            raise InvalidRevision("This is not a revision.") from error
        revision = cls(epoch=epoch.hex(), number=number)
        if version != _VERSION or check != revision._check() or str(revision) != text:
            raise InvalidRevision("This is not a revision.")
        return revision

    def _check(self) -> bytes:
        # Catches a mangled or made-up text; it keeps nobody out.
        return hashlib.sha256(f"{self.epoch}:{self.number}".encode()).digest()[:4]
