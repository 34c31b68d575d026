from dataclasses import dataclass

from stripe_emulator.errors import IdempotencyKeyInUse, IdempotencyMismatch, InvalidParameters
from stripe_emulator.settings import DAY

LONGEST_KEY = 255


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    status: int
    body: bytes
    request_id: str


@dataclass(kw_only=True, slots=True)
class _Entry:
    fingerprint: str
    begun: int
    reply: Reply | None = None


class IdempotencyKeys:
    """Replies by key: a POST sent twice is executed once."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def begin(self, key: str, fingerprint: str, now: int) -> Reply | None:
        """Claim the key; give the reply of the first request with it, if that is known."""
        if len(key) > LONGEST_KEY:
            raise InvalidParameters(f"Idempotency keys can be at most {LONGEST_KEY} characters.")
        entry = self._entries.get(key)
        if entry is None or now - entry.begun >= DAY:
            self._entries[key] = _Entry(fingerprint=fingerprint, begun=now)
            return None
        if entry.reply is None:
            raise IdempotencyKeyInUse(key)
        if entry.fingerprint != fingerprint:
            raise IdempotencyMismatch(key)
        return entry.reply

    def finish(self, key: str, reply: Reply) -> None:
        self._entries[key].reply = reply

    def to_save(self) -> dict[str, _Entry]:
        """Give those that are answered; what is under way ends with the process."""
        return {key: entry for key, entry in self._entries.items() if entry.reply is not None}

    def put_back(self, saved: dict[str, _Entry]) -> None:
        self._entries = saved

    def abandon(self, key: str) -> None:
        """Forget a request that never began, so that it may be corrected and sent again."""
        self._entries.pop(key, None)
