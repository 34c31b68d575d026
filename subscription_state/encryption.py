"""Bodies of events: sealed before they are stored, opened when they are read again.

AES-256-GCM as `cryptography` has it, with a random nonce for each body. Fernet, the same
library's recipe, can bind nothing to what it seals, so that one row's body could be moved
into another row unseen, and makes a body longer by a third. Here the event's id is
associated data. At most 2^32 bodies should be sealed with one key (NIST SP 800-38D, 8.3).
"""

import hashlib
import os
from collections.abc import Iterable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from subscription_state.errors import BodyDamaged, EncryptionKeyMissing

KEY_BYTES = 32
NONCE_BYTES = 12
ID_BYTES = 8

#: What every sealed body begins with. No JSON does, so none that came in the clear is mistaken.
SEALED = b"\x01"


class Key:
    """One key; its id tells it from others and nothing about it."""

    def __init__(self, secret: bytes) -> None:
        """Take 32 random bytes; raise `ValueError` for any other number."""
        if len(secret) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes")
        digest = hashlib.sha256(b"paidup key id" + secret).digest()
        #: What each body that it sealed begins with.
        self.mark = SEALED + digest[:ID_BYTES]
        self._cipher = AESGCM(secret)

    @property
    def key_id(self) -> str:
        return id_of_mark(self.mark)

    def seal(self, event_id: str, body: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return self.mark + nonce + self._cipher.encrypt(nonce, body, self._bound(event_id))

    def open(self, event_id: str, sealed: bytes) -> bytes:
        begin = len(self.mark)
        nonce, rest = sealed[begin : begin + NONCE_BYTES], sealed[begin + NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, rest, self._bound(event_id))
        # A body that was cut off is too short for a nonce or a tag.
        except (InvalidTag, ValueError) as error:
            raise BodyDamaged(f"The stored body of {event_id} was changed.") from error

    def _bound(self, event_id: str) -> bytes:
        return self.mark + event_id.encode()


class Keyring:
    """The keys of now: the first one seals, all of them open.

    Without a key bodies are stored as they came, and whatever came so is read for ever.
    """

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self.replace(keys)

    def replace(self, keys: Iterable[Key]) -> None:
        self.keys: Sequence[Key] = tuple(keys)
        self._by_mark = {key.mark: key for key in self.keys}

    @property
    def mark(self) -> bytes | None:
        """What bodies sealed from now on begin with; None where none is sealed."""
        return self.keys[0].mark if self.keys else None

    def seal(self, event_id: str, body: bytes) -> bytes:
        return self.keys[0].seal(event_id, body) if self.keys else body

    def open(self, event_id: str, stored: bytes) -> bytes:
        """Give the body as it came; raise `EncryptionKeyMissing` or `BodyDamaged`."""
        if not is_sealed(stored):
            return stored
        mark = mark_of(stored)
        if mark not in self._by_mark:
            raise EncryptionKeyMissing(
                f"The body of {event_id} was sealed with key {id_of_mark(mark)}, "
                "which is not among the files of PAIDUP_ENCRYPTION_KEY_FILES."
            )
        return self._by_mark[mark].open(event_id, stored)


def is_sealed(stored: bytes) -> bool:
    return stored.startswith(SEALED)


def mark_of(sealed: bytes) -> bytes:
    """Give what a sealed body begins with: which key sealed it."""
    return bytes(sealed[: len(SEALED) + ID_BYTES])


def id_of_mark(mark: bytes) -> str:
    return mark.removeprefix(SEALED).hex()
