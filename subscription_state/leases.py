"""Who may do what only one may do at a time, as rows with an expiry.

Works on any database and behind any pooler. A holder that dies is followed
once its lease has run out; one that lives renews it.
"""

from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state.tables import lease
from subscription_state.upsert import upsert


async def acquire(
    connection: AsyncConnection, name: str, *, holder: str, now: datetime, lifetime: timedelta
) -> bool:
    """Take or renew the lease; False when another holds it."""
    row = {"name": name, "holder": holder, "expire_time": now + lifetime}
    taken = await connection.execute(
        upsert(
            connection,
            lease,
            row,
            where=or_(lease.c.expire_time <= now, lease.c.holder == holder),
        ).returning(lease.c.name)
    )
    return taken.first() is not None


async def holder(connection: AsyncConnection, name: str, *, now: datetime) -> str | None:
    """Give who holds the lease now; None where nobody does."""
    found = await connection.execute(
        select(lease.c.holder).where(lease.c.name == name, lease.c.expire_time > now)
    )
    return found.scalar_one_or_none()


async def release(connection: AsyncConnection, name: str, *, holder: str) -> None:
    await connection.execute(delete(lease).where(lease.c.name == name, lease.c.holder == holder))


async def drop_expired(connection: AsyncConnection, now: datetime) -> int:
    """Delete the leases that ran out; return how many."""
    return (await connection.execute(delete(lease).where(lease.c.expire_time <= now))).rowcount
