"""What is not kept for ever: bodies of events, and the feed of changes. Ids stay."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, and_, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state.database import Database
from subscription_state.events import Place
from subscription_state.tables import change, event

#: So few at a time that others who write need not wait.
BATCH = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """What became of some events."""

    #: How many lost their bodies.
    dropped: int
    #: Where the next batch begins; None after the last.
    next_after: Place | None


async def drop_bodies(database: Database, *, before: datetime, after: Place | None) -> Batch:
    """Erase the bodies of the next events that were received before a time, oldest first.

    Those that lost theirs long ago are only passed over: whoever remembers where the
    last batch ended does not look at them again.
    """
    async with database.read() as connection:
        old = await _oldest(connection, before=before, after=after)
    held = [row.event_id for row in old if row.held]
    if held:
        await database.write(lambda connection: _erase(connection, held))
    last = old[-1] if len(old) == BATCH else None
    return Batch(
        dropped=len(held),
        next_after=last and Place(receive_time=last.receive_time, event_id=last.event_id),
    )


async def _oldest(
    connection: AsyncConnection, *, before: datetime, after: Place | None
) -> list[Row[tuple[str, datetime, bool]]]:
    listing = (
        select(event.c.event_id, event.c.receive_time, event.c.body.is_not(None).label("held"))
        .where(event.c.receive_time < before)
        .order_by(event.c.receive_time, event.c.event_id)
        .limit(BATCH)
    )
    if after is not None:
        same_time = and_(
            event.c.receive_time == after.receive_time, event.c.event_id > after.event_id
        )
        listing = listing.where(or_(event.c.receive_time > after.receive_time, same_time))
    return list(await connection.execute(listing))


async def _erase(connection: AsyncConnection, event_ids: list[str]) -> None:
    await connection.execute(
        # Without its content there is nothing to try again.
        update(event).where(event.c.event_id.in_(event_ids)).values(body=None, next_attempt=None)
    )


async def drop_changes(connection: AsyncConnection, *, before: datetime) -> int:
    """Delete the next changes from before a time; give how many, at most `BATCH`.

    The newest one stays: who follows the feed and has not come to its oldest entry
    knows by that alone that he may have missed some.
    """
    newest = select(func.max(change.c.revision)).scalar_subquery()
    old = (
        select(change.c.revision)
        .where(change.c.change_time < before, change.c.revision < newest)
        .order_by(change.c.change_time)
        .limit(BATCH)
    )
    return (await connection.execute(delete(change).where(change.c.revision.in_(old)))).rowcount
