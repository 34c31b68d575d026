"""Where the service is, how the way there is guarded, and as whom it is called."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paidup._endpoint import Tls, Token

#: In bytes. A longer file is not what it was taken for.
_LONGEST_FILE = 1024 * 1024

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

    def _tls(self) -> Tls | None:
        if not any([self.ca, self.cert, self.key]):
            return None
        return Tls(
            root_certificates=_content(self.ca),
            private_key=_content(self.key),
            certificate_chain=_content(self.cert),
        )

    def _token(self) -> Token | None:
        file = self.token_file
        if file is not None:
            # Before every call anew: it may have been rotated.
            return lambda: _read(file).decode(errors="replace")
        return os.environ.get(TOKEN_VARIABLE) or None


def _content(file: Path | None) -> bytes | None:
    return None if file is None else _read(file)


def _read(file: Path) -> bytes:
    with file.open("rb") as opened:
        content = opened.read(_LONGEST_FILE + 1)
    if len(content) > _LONGEST_FILE:
        raise ValueError(f"{file}: The file is too long.")
    return content
