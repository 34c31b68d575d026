"""`key` and `reencrypt`: makes keys, and seals every stored body with the first of them."""

import time
from pathlib import Path

from rich.console import Console

from subscription_state import key_files, migrate, reencryption
from subscription_state.database import Database
from subscription_state.opening import open_database
from subscription_state.settings import PREFIX, SettingsInvalid, StateSettings

#: How often a line is printed, in seconds.
LINE_EVERY = 10.0
#: So many events whose bodies cannot be opened are named.
MOST_NAMED = 10


def make_key(path: Path) -> int:
    """Make a key file and tell of it; give the exit code. An existing file is never replaced."""
    console = Console(highlight=False, soft_wrap=True, markup=False)
    try:
        key = key_files.make(path)
    except OSError as error:
        Console(stderr=True, soft_wrap=True, markup=False).print(f"{path}: {error.strerror}")
        return 1
    console.print(f"{path} holds key {key.key_id}. Without it, what it encrypts cannot be read.")
    return 0


async def reencrypt(settings: StateSettings) -> bool:
    """Seal every body with the first key; False where one still needs another key, or has none."""
    console = Console(highlight=False, soft_wrap=True, markup=False)
    if not settings.encryption_key_files:
        raise SettingsInvalid(f"{PREFIX}ENCRYPTION_KEY_FILES names no key to encrypt with.")
    database = open_database(settings)
    try:
        await migrate.check(database)
        left = await _rewrite_all(console, database)
        if not await database.forget_overwritten():
            console.print("Somebody was reading: SQLite's log holds what was replaced for now.")
        return await _sum_up(console, database, left)
    finally:
        await database.close()


async def _rewrite_all(console: Console, database: Database) -> dict[str, str]:
    """Go through all bodies once; give the faults of those that could not be opened."""
    after: str | None = ""
    left: dict[str, str] = {}
    rewritten, told_at = 0, time.monotonic()
    while after is not None:
        batch = await reencryption.rewrite(database, after=after)
        rewritten += batch.rewritten
        left |= batch.left
        after = batch.next_after
        if time.monotonic() - told_at >= LINE_EVERY:
            told_at = time.monotonic()
            console.print(f"{rewritten} bodies are encrypted anew, up to {after}.")
    console.print(f"Encrypted {rewritten} bodies with key {database.keyring.keys[0].key_id}.")
    return left


async def _sum_up(console: Console, database: Database, left: dict[str, str]) -> bool:
    """Tell what other keys are still needed for; a process may have used one meanwhile."""
    async with database.read() as connection:
        others = await reencryption.count_bodies(connection)
    others.pop(database.keyring.keys[0].key_id, None)
    for key_id, bodies in sorted(others.items()):
        console.print(f"{bodies} are not: {_how(key_id)}.")
    for event_id, fault in sorted(left.items())[:MOST_NAMED]:
        console.print(f"{event_id} could not be opened: {fault}")
    if not others:
        console.print("No body needs another key: other keys can be dropped.")
    return not others


def _how(key_id: str) -> str:
    if key_id == reencryption.IN_THE_CLEAR:
        return "stored in the clear"
    return f"encrypted with key {key_id}"
