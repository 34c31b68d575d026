"""The one counter that revisions and tickets are drawn from.

A transaction that changes accounts draws from the row `head` after it has
read and locked everything else, so that the order of revisions is the order of
commits, and whoever follows the changes never sees 12 before 11.
"""

import secrets

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state.revision import Revision
from subscription_state.tables import head

HEAD_ID = 1


_DRAW = (
    update(head)
    .where(head.c.head_id == HEAD_ID)
    .values(revision=head.c.revision + bindparam("count"))
    .returning(head.c.revision)
)


async def draw(connection: AsyncConnection) -> int:
    """Draw the next number: a ticket, or the revision of this transaction."""
    (number,) = await draw_many(connection, 1)
    return number


async def draw_many(connection: AsyncConnection, count: int) -> range:
    """Draw the next numbers, in one step."""
    last = int((await connection.execute(_DRAW, {"count": count})).scalar_one())
    return range(last - count + 1, last + 1)


async def current(connection: AsyncConnection) -> Revision:
    row = (await connection.execute(select(head.c.epoch, head.c.revision))).one()
    return Revision(epoch=row.epoch, number=row.revision)


def new_epoch() -> str:
    return secrets.token_hex(8)


async def start_history(connection: AsyncConnection) -> None:
    """Begin a new history, as in a new or restored database: older revisions are refused."""
    changed = await connection.execute(update(head).values(epoch=new_epoch()))
    if changed.rowcount == 0:
        await connection.execute(
            insert(head).values(head_id=HEAD_ID, epoch=new_epoch(), revision=1)
        )
