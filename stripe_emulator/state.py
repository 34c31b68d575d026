"""
The world in a file, so that it outlives the process.

Rows are shared: a subscription's item is the very object that the table of items has. Pickle
keeps that as it is. A file is read only where its digest is right, and nothing is made from
it but this package's own classes, so that a file cannot run what it likes.
"""

import asyncio
import hashlib
import io
import logging
import os
import pickle
from pathlib import Path
from typing import Any

import orjson

from stripe_emulator.emulator import Emulator
from stripe_emulator.events import API_VERSION
from stripe_emulator.tables import Outlasting
from stripe_emulator.world import World

#: To be raised when what is stored of an object changes.
FORMAT = 1
SAVED_EVERY_SECONDS = 5.0
#: The process's own, which a new one has anew.
OF_THE_PROCESS = frozenset({"base_url"})
OTHER_CLASSES = {
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("orjson", "Fragment"): orjson.Fragment,
}
log = logging.getLogger(__name__)


class StateRefused(Exception):
    """The file cannot be used; the message says why."""


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, orjson.Fragment):
            return orjson.Fragment, (orjson.dumps(value),)
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in OTHER_CLASSES:
            return OTHER_CLASSES[module, name]
        found = super().find_class(module, name) if _is_ours(module) and "." not in name else None
        if not isinstance(found, type) or found.__module__ != module:
            raise pickle.UnpicklingError(f"{module}.{name} is none of the emulator's classes")
        return found


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == __name__.partition(".")[0]


def layout(world: World) -> str:
    """Name what a file holds: another is of another version."""
    described = f"{FORMAT} {API_VERSION} {sorted(vars(world))}"
    return hashlib.sha256(described.encode()).hexdigest()[:16]


def encoded(emulator: Emulator) -> bytes:
    attributes = vars(emulator.world).items()
    world = {name: value for name, value in attributes if name not in OF_THE_PROCESS}
    content = io.BytesIO()
    _Pickler(content, protocol=5).dump(
        {
            "deliveries": emulator.deliveries.to_save(),
            "keys": emulator.keys.to_save(),
            "world": world,
        }
    )
    header = {
        "paidup_emulator_state": layout(emulator.world),
        "sha256": hashlib.sha256(content.getvalue()).hexdigest(),
    }
    return orjson.dumps(header) + b"\n" + content.getvalue()


def restore(emulator: Emulator, raw: bytes) -> None:
    header, _, content = raw.partition(b"\n")
    _check(emulator, _header(header), content)
    try:
        saved = _Unpickler(io.BytesIO(content)).load()
    except (pickle.UnpicklingError, AttributeError, EOFError, ImportError, IndexError) as error:
        raise StateRefused(f"it cannot be read: {error}") from error
    _put_back(emulator.world, saved["world"])
    emulator.keys.put_back(saved["keys"])
    emulator.register_webhooks()
    emulator.deliveries.put_back(emulator.world, saved["deliveries"])


def _header(raw: bytes) -> dict[str, Any]:
    try:
        header = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise StateRefused("it holds no emulator's state.") from error
    if not isinstance(header, dict) or "paidup_emulator_state" not in header:
        raise StateRefused("it holds no emulator's state.")
    return header


def _check(emulator: Emulator, header: dict[str, Any], content: bytes) -> None:
    if header["paidup_emulator_state"] != layout(emulator.world):
        raise StateRefused("another version of the emulator wrote it. Remove it to begin anew.")
    if header.get("sha256") != hashlib.sha256(content).hexdigest():
        raise StateRefused("it is damaged. Remove it to begin anew.")


def _put_back(world: World, saved: dict[str, Any]) -> None:
    for name, value in saved.items():
        present = getattr(world, name)
        if isinstance(present, Outlasting):
            # Others hold on to it.
            present.take_over(value)
        else:
            setattr(world, name, value)


class StateFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._saved_changes = -1

    def load(self, emulator: Emulator) -> None:
        """Begin where the file ends, if there is one, and see that it can be written."""
        try:
            if self._path.exists():
                restore(emulator, self._path.read_bytes())
            self.save(emulator)
        except StateRefused as error:
            raise StateRefused(f"--state {self._path}: {error}") from error.__cause__
        except OSError as error:
            raise StateRefused(f"--state {self._path}: {error.strerror}.") from error

    async def keep(self, emulator: Emulator) -> None:
        while True:
            await asyncio.sleep(SAVED_EVERY_SECONDS)
            if emulator.changes == self._saved_changes:
                continue
            try:
                self.save(emulator)
            except Exception:
                log.exception("The state could not be saved; trying again")

    def save(self, emulator: Emulator) -> None:
        self._write(encoded(emulator))
        self._saved_changes = emulator.changes

    def _write(self, content: bytes) -> None:
        """Replace the file as a whole: whoever is killed meanwhile leaves the one before."""
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        # It holds signing secrets.
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
