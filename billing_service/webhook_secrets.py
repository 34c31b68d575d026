"""The signing secrets as the gateway reads them: from a variable, or from a file that it follows.

The file holds one a line; a signature by any of them is accepted. No text here shows one.
"""

import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from subscription_state.settings import PREFIX as VARIABLE

NAME = f"{VARIABLE}WEBHOOK_SECRETS"
PREFIX = "whsec_"
_SEPARATORS = re.compile(r"[,\s]+")


class SecretsUnreadable(Exception):
    """The secrets could not be read or written; the text names the file, and no secret."""


def parse(text: str) -> tuple[str, ...]:
    """Split as the gateway does."""
    found = tuple(dict.fromkeys(filter(None, _SEPARATORS.split(text))))
    if not all(each.startswith(PREFIX) and each != PREFIX for each in found):
        raise SecretsUnreadable(
            f"They must be signing secrets ({PREFIX}…), comma or line separated."
        )
    return found


def configured(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Give those that this process was told, as the gateway is; none where it was told none."""
    if text := environment.get(NAME):
        return parse(text)
    path = environment.get(f"{NAME}_FILE")
    return read(Path(path)) if path else ()


def read(file: Path) -> tuple[str, ...]:
    """Read the file's; a file that is not there holds none."""
    try:
        return parse(file.read_text())
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretsUnreadable(f"{file}: cannot be read ({type(error).__name__})") from error


def add(file: Path, secret: str) -> None:
    """Put a secret before those that the file holds: old ones stay until nothing uses them."""
    _replace(file, (secret, *(each for each in read(file) if each != secret)))


def check_writable(file: Path) -> None:
    """Find out before a secret is made that could then not be kept."""
    read(file)
    try:
        descriptor, name = tempfile.mkstemp(dir=file.resolve().parent)
        os.close(descriptor)
        Path(name).unlink()
    except OSError as error:
        raise SecretsUnreadable(f"{file}: cannot be written ({error.strerror})") from error


def _replace(file: Path, secrets: tuple[str, ...]) -> None:
    """Write all at once, for its owner alone: who reads meanwhile sees the old file whole."""
    # A link, as mounted secrets are, keeps leading to what it leads to.
    target = file.resolve()
    try:
        # Made with mode 0600.
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(descriptor, "w") as written:
                written.write("".join(f"{each}\n" for each in secrets))
                written.flush()
                os.fsync(written.fileno())
            Path(name).replace(target)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
        _flush(target.parent)
    except OSError as error:
        raise SecretsUnreadable(f"{file}: cannot be written ({error.strerror})") from error


def _flush(directory: Path) -> None:
    """Let the new name survive a power cut too."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
