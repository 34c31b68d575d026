"""Where the service is, how the way there is guarded, and as whom it is called."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paidup._bearer import token_in
from paidup._endpoint import TlsFiles, Token

#: Never an option's value: every user of a machine sees the command lines of all.
TOKEN_VARIABLE = "PAIDUP_TOKEN"  # noqa: S105 - where it is, not what it is


@dataclass(frozen=True, kw_only=True, slots=True)
class Connection:
    """What was said of it in options and variables."""

    address: str
    tls: bool | None
    ca: Path | None
    cert: Path | None
    key: Path | None
    token_file: Path | None

    def settings(self) -> dict[str, Any]:
        """Return what a client is made with. Raises OSError where a file cannot be read."""
        return {
            "address": self.address,
            "tls": self._tls(),
            "plaintext": None if self.tls is None else not self.tls,
            "token": self._token(),
        }

    def _tls(self) -> TlsFiles | None:
        if not any([self.ca, self.cert, self.key]):
            return None
        return TlsFiles(ca=self.ca, certificate=self.cert, key=self.key)

    def _token(self) -> Token | None:
        if self.token_file is not None:
            # Before every call anew: it may have been rotated.
            return token_in(self.token_file, interval=0)
        return os.environ.get(TOKEN_VARIABLE) or None
