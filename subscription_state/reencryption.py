"""Seals every stored body anew with the first key, so that other keys can be dropped."""

from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import Row, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state.database import Database
from subscription_state.encryption import ID_BYTES, SEALED, id_of_mark, is_sealed
from subscription_state.errors import BodyUnreadable
from subscription_state.tables import event

#: So few at a time that others who write need not wait, and that their bodies fit in memory.
BATCH = 50
#: How a body that was stored as it came is counted.
IN_THE_CLEAR = "in the clear"

MARK_BYTES = len(SEALED) + ID_BYTES
_mark = func.substr(event.c.body, 1, MARK_BYTES)

#: Whoever erased a body, or sealed it, since it was read goes first: it must not come back.
_REPLACE = (
    update(event)
    .where(event.c.event_id == bindparam("sealed"), event.c.body == bindparam("read"))
    .values(body=bindparam("anew"))
)


@dataclass(kw_only=True, slots=True)
class Batch:
    """What became of some bodies."""

    rewritten: int = 0
    #: Could not be opened: the faults' names, by event id.
    left: dict[str, str] = field(default_factory=dict)
    #: Where the next batch begins; None after the last.
    next_after: str | None = None


async def rewrite(database: Database, *, after: str) -> Batch:
    """Seal the next bodies anew that the first key did not seal, by event id.

    What was interrupted is done by running it again: what is done already is passed over.
    """
    async with database.read() as connection:
        found = await _not_of(connection, database.keyring.mark, after)
    batch = Batch(next_after=found[-1].event_id if len(found) == BATCH else None)
    rows = [row for each in found if (row := _sealed_anew(database, each, batch)) is not None]
    if rows:
        batch.rewritten = await database.write(lambda connection: _replace(connection, rows))
    return batch


async def _not_of(
    connection: AsyncConnection, mark: bytes | None, after: str
) -> list[Row[tuple[str, bytes]]]:
    listing = (
        select(event.c.event_id, event.c.body)
        .where(event.c.event_id > after, event.c.body.is_not(None), _mark != mark)
        .order_by(event.c.event_id)
        .limit(BATCH)
    )
    return list(await connection.execute(listing))


def _sealed_anew(
    database: Database, row: Row[tuple[str, bytes]], batch: Batch
) -> dict[str, str | bytes] | None:
    keyring = database.keyring
    try:
        body = keyring.open(row.event_id, row.body)
    except BodyUnreadable as error:
        batch.left[row.event_id] = type(error).__name__
        return None
    return {"sealed": row.event_id, "read": row.body, "anew": keyring.seal(row.event_id, body)}


async def _replace(connection: AsyncConnection, rows: list[dict[str, str | bytes]]) -> int:
    # One by one: what many did at once is not counted.
    return sum([(await connection.execute(_REPLACE, row)).rowcount for row in rows])


async def count_bodies(connection: AsyncConnection) -> Counter[str]:
    """Count the stored bodies by the id of the key that sealed them, or `IN_THE_CLEAR`."""
    marks = await connection.execute(
        select(_mark.label("mark"), func.count().label("bodies"))
        .where(event.c.body.is_not(None))
        .group_by("mark")
    )
    counted: Counter[str] = Counter()
    for row in marks:
        counted[_told(bytes(row.mark))] += row.bodies
    return counted


def _told(mark: bytes) -> str:
    return id_of_mark(mark) if is_sealed(mark) else IN_THE_CLEAR
