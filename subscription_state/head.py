"""The one counter that revisions and tickets are drawn from.

A transaction that changes accounts draws from the row `head` after it has
read and locked everything else, so that the order of revisions is the order of
commits, and whoever follows the changes never sees 12 before 11.
"""

import secrets

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state.revision import Revision
from subscription_state.tables import head

HEAD_ID = 1


async def draw(connection: AsyncConnection) -> int:
    """Draw the next number: a ticket, or the revision of this transaction."""
    drawn = await connection.execute(
        update(head)
        .where(head.c.head_id == HEAD_ID)
        .values(revision=head.c.revision + 1)
        .returning(head.c.revision)
    )
    return int(drawn.scalar_one())


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
