"""`migrate`: applies what the database lacks, and says what is left and when it may be applied."""

import asyncio
from collections.abc import Sequence
from enum import StrEnum

from rich.console import Console

from subscription_state import migrate
from subscription_state.database import Database
from subscription_state.errors import SchemaOutdated, StateUnavailable
from subscription_state.migrate import Standing
from subscription_state.opening import open_database
from subscription_state.schema_history import Migration, Phase
from subscription_state.settings import StateSettings

#: How often the schema is looked at while somebody waits for it, in seconds.
LOOK_EVERY = 1.0


class Part(StrEnum):
    """What of the pending migrations to apply."""

    BEFORE = "before"
    AFTER = "after"
    ALL = "all"


async def apply(settings: StateSettings, part: Part) -> None:
    """Apply migrations and say how far the schema is then."""
    database = open_database(settings)
    try:
        phase = None if part is Part.ALL else Phase(part)
        _tell(await migrate.upgrade(database, phase))
    finally:
        await database.close()


async def check(settings: StateSettings, *, wait: float) -> None:
    """Raise unless this version can run on the schema, for so many seconds; change nothing."""
    database = open_database(settings)
    try:
        await _until_fit(database, wait)
        _tell(await migrate.look(database))
    finally:
        await database.close()


async def _until_fit(database: Database, wait: float) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + wait
    while True:
        try:
            return await migrate.check(database)
        except (SchemaOutdated, StateUnavailable):
            if loop.time() >= until:
                raise
        await asyncio.sleep(LOOK_EVERY)


def _tell(standing: Standing) -> None:
    console = Console(soft_wrap=True)
    console.print(f"The schema is at version {standing.applied}; this version can run on it.")
    if standing.pending:
        console.print(left(standing.pending))


def left(pending: Sequence[Migration]) -> str:
    """Say when those may be applied that this version can run without."""
    versions = ", ".join(each.version for each in pending)
    return f"When no older version runs any more, apply with `migrate --phase after`: {versions}."
