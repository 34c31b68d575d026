"""A file of what was known, for a start while the service is away.

It holds account ids, features, product ids and the moments at which rights end:
neither secrets nor anything about people, unless the caller's account ids are that.
Whoever can write it can entitle, so it is the owner's alone, and one that others can
write is not read.
"""

import json
import os
import stat
import tempfile
from collections.abc import Mapping
from math import inf, isfinite
from pathlib import Path
from typing import Any, cast

from paidup._held import Held, Right
from paidup.v1.entitlement_pb2 import EntitlementReason

VERSION = 1

#: More is not read.
MOST_BYTES = 64 * 1024 * 1024


class UnusableFile(Exception):
    """The file cannot be trusted or understood; its text says why."""


def save(path: Path, accounts: Mapping[str, tuple[Held, float]], *, wall: float) -> None:
    """Replace the file by these accounts, each with its age in seconds."""
    content = {
        "version": VERSION,
        "saved": wall,
        "accounts": {account_id: _to_json(*each) for account_id, each in accounts.items()},
    }
    # Made by mkstemp: readable by the owner alone, from the first byte.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load(path: Path, *, wall: float, max_age: float) -> dict[str, tuple[Held, float]]:
    """Return the accounts that are not too old, each with its age; none without a file.

    Raises UnusableFile.
    """
    try:
        content = json.loads(_read(path), parse_constant=_no_constant)
        return _accounts(content, wall, max_age)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UnusableFile(f"{path.name} is not what this version writes.") from error


def _read(path: Path) -> bytes:
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise UnusableFile(f"Others than its owner can write {path.name}.")
        if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
            raise UnusableFile(f"{path.name} is somebody else's.")
        if status.st_size > MOST_BYTES:
            raise UnusableFile(f"{path.name} is too large.")
        return file.read()


def _accounts(content: Any, wall: float, max_age: float) -> dict[str, tuple[Held, float]]:
    if content["version"] != VERSION:
        raise UnusableFile(f"It is of version {content['version']!r}.")
    # A file of the future was written under another clock; nothing is known of its age.
    saved_ago = wall - float(content["saved"])
    if not 0 <= saved_ago < inf:
        raise UnusableFile("It was saved in the future.")
    read = {str(key): _from_json(each, saved_ago) for key, each in content["accounts"].items()}
    return {key: (held, age) for key, (held, age) in read.items() if 0 <= age <= max_age}


def _to_json(held: Held, age: float) -> dict[str, Any]:
    return {"age": age, "features": _rights(held.features), "products": _rights(held.products)}


def _rights(rights: Mapping[str, Right]) -> dict[str, list[Any]]:
    return {
        key: [right.until if isfinite(right.until) else None, int(right.reason), right.quantity]
        for key, right in rights.items()
    }


def _from_json(account: Any, saved_ago: float) -> tuple[Held, float]:
    held = Held(
        features={key: _right(*each) for key, each in account["features"].items()},
        products={key: _right(*each) for key, each in account["products"].items()},
    )
    return held, float(account["age"]) + saved_ago


def _right(until: Any, reason: Any, quantity: Any) -> Right:
    if not isinstance(reason, int) or reason not in EntitlementReason.values():
        reason = 0  # a newer version's
    return Right(
        until=inf if until is None else float(until),
        reason=cast("EntitlementReason", reason),
        quantity=int(quantity),
    )


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no moment.")
