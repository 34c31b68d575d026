"""The feed of changes, as caches and streams follow it.

Every commit that changes an account leaves a row in `change` under its revision. The
catalogue has no rows of its own there: it is what was saved under `read_ticket`.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import catalog
from subscription_state.catalog import Catalog
from subscription_state.revision import Revision
from subscription_state.tables import catalog_mirror, change, head

#: Whoever is further behind begins anew rather than read so many.
MOST = 20_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """How far a follower has come: it knows all that was committed up to here."""

    revision: Revision
    #: Under which the catalogue was saved; 0 before the first time.
    catalog_ticket: int
    #: The oldest revision that the feed still has; None while it is empty.
    oldest: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class News:
    """What was committed after a follower's position."""

    position: Position
    #: The accounts that changed, each once, in the order of their last changes.
    accounts: tuple[str, ...]
    #: Whether there may be more than those: too much, too old, or another history.
    missed: bool
    #: Where it may be another than before.
    catalog: Catalog | None


async def position(connection: AsyncConnection) -> Position:
    oldest = select(func.min(change.c.revision)).scalar_subquery()
    looked = select(head.c.epoch, head.c.revision, catalog_mirror.c.read_ticket, oldest)
    row = (
        await connection.execute(looked.join_from(head, catalog_mirror, true(), isouter=True))
    ).one()
    return Position(
        revision=Revision(epoch=row[0], number=row[1]), catalog_ticket=row[2] or 0, oldest=row[3]
    )


async def since(
    connection: AsyncConnection, known: Position | None, *, recently: bool = False
) -> News:
    """Tell what was committed after `known`, all as of one revision; None knows nothing.

    Of what was known `recently`, nothing that came after it can have been dropped. It
    tells the first change ever from one before which others were.
    """
    now = await position(connection)
    was_empty = known is not None and known.oldest is None and recently
    missed = known is None or is_gap(now, known.revision, was_empty=was_empty)
    accounts: tuple[str, ...] = ()
    if known is not None and not missed and now.revision > known.revision:
        accounts = await after(connection, known.revision.number, limit=MOST + 1)
        missed = len(accounts) > MOST
    is_same = known is not None and not missed and known.catalog_ticket == now.catalog_ticket
    return News(
        position=now,
        accounts=() if missed else accounts,
        missed=missed,
        catalog=None if is_same else await catalog.load(connection),
    )


def is_gap(now: Position, revision: Revision, *, was_empty: bool = False) -> bool:
    """Tell whether the feed may lack changes after a revision, or never had it.

    The newest change is kept for ever, so a feed that still has one up to the revision
    has all that came after it. One that begins later may have lost some.
    """
    if now.revision.epoch != revision.epoch or now.revision.number < revision.number:
        return True
    return not was_empty and now.oldest is not None and now.oldest > revision.number


async def after(connection: AsyncConnection, number: int, *, limit: int) -> tuple[str, ...]:
    """List the accounts that changed after a revision, each once, as they last did."""
    last = func.max(change.c.revision)
    listing = (
        select(change.c.account_id)
        .where(change.c.revision > number)
        .group_by(change.c.account_id)
        .order_by(last)
        .limit(limit)
    )
    return tuple((await connection.execute(listing)).scalars())


async def time_of(connection: AsyncConnection, number: int) -> datetime | None:
    """Give when the last change up to a revision was made; None where none is known."""
    found = await connection.execute(
        select(change.c.change_time)
        .where(change.c.revision <= number)
        .order_by(change.c.revision.desc())
        .limit(1)
    )
    moment: datetime | None = found.scalar_one_or_none()
    return moment
