"""Files that hold the encryption keys: made, read, and followed without a restart."""

import asyncio
import base64
import binascii
import logging
import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from subscription_state.encryption import KEY_BYTES, Key, Keyring

log = logging.getLogger(__name__)

#: How often the files are compared with what is known, in seconds. Their content is
#: compared, not their times: a mounted secret changes by a link that is swapped.
FOLLOW_INTERVAL = 1.0
#: A key's line has 44 characters. Whatever is much longer is some other file.
MAX_BYTES = 1024


class KeysInvalid(ValueError):
    """Files lack, or hold no keys; the text names each with what is wrong, and shows nothing."""


def read(setting: str) -> list[Key]:
    """Read the keys that the setting names, the one that seals first; none for no setting.

    Raise `KeysInvalid` with all that is wrong.
    """
    keys, problems = [], []
    for path in _paths(setting):
        try:
            keys.append(_key(path))
        except KeysInvalid as problem:
            problems.append(f"{path} {problem}")
    if setting and not keys and not problems:
        problems.append("names no file that could hold a key")
    if problems:
        raise KeysInvalid("; ".join(problems))
    return keys


def _paths(setting: str) -> Sequence[Path]:
    """List the files: as they are named, and those of a directory from the last name to the first.

    So keys that are named by date, such as `2026-11`, come in newest first.
    """
    named = [Path(part.strip()) for part in setting.split(",") if part.strip()]
    if len(named) == 1 and named[0].is_dir():
        # A mounted secret keeps its links in names that begin with a dot.
        return sorted(_not_hidden(named[0]), reverse=True)
    return named


def _not_hidden(directory: Path) -> list[Path]:
    try:
        return [path for path in directory.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise KeysInvalid(f"{directory} cannot be read ({error.strerror})") from error


def _key(path: Path) -> Key:
    try:
        with path.open("rb") as file:
            line = file.read(MAX_BYTES).strip()
    except OSError as error:
        raise KeysInvalid(f"cannot be read ({error.strerror})") from error
    try:
        return Key(base64.b64decode(line, validate=True))
    except (binascii.Error, ValueError):
        message = f"must hold one line: {KEY_BYTES} bytes in base64"
        # The error's own text could show what the file holds.
        raise KeysInvalid(message) from None


def check(setting: str) -> str:
    """Give the setting back where every key can be read; raise `KeysInvalid` where not."""
    read(setting)
    return setting


def make(path: Path) -> Key:
    """Write a new key into a file that only its owner can read; raise `OSError` where one is."""
    secret = secrets.token_bytes(KEY_BYTES)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(base64.b64encode(secret) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return Key(secret)


class KeyFollower:
    """Keeps a keyring as its files are."""

    def __init__(self, setting: str, keyring: Keyring, *, told: Callable[[str], object]) -> None:
        """Build it; `told` hears of each reading that `changed` the keys or `failed`."""
        self._setting = setting
        self._keyring = keyring
        self._told = told
        self._broken = False

    async def run(self) -> None:
        """Take over what the files hold whenever it changes; never returns."""
        while True:
            await asyncio.sleep(FOLLOW_INTERVAL)
            await self.read_again()

    async def read_again(self) -> None:
        """Take over the files' keys; any that cannot be read leaves all as they were.

        To go on without one, or without any, would store in the clear or lose what is sealed.
        """
        if not self._setting:
            return
        try:
            keys = await asyncio.to_thread(read, self._setting)
        except (KeysInvalid, OSError) as error:
            self._keep(error)
        else:
            self._take_over(keys)

    def _keep(self, error: Exception) -> None:
        self._told("failed")
        if not self._broken:
            log.error("encryption_keys_unreadable", extra={"error": type(error).__name__})
        self._broken = True

    def _take_over(self, keys: Sequence[Key]) -> None:
        self._broken = False
        marks = [key.mark for key in keys]
        if marks == [key.mark for key in self._keyring.keys]:
            return
        self._keyring.replace(keys)
        self._told("changed")
        log.info("encryption_keys_changed", extra={"key_ids": [key.key_id for key in keys]})
