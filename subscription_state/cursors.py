"""How far a sweep or a sync has come, to go on from there."""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state.tables import cursor
from subscription_state.upsert import upsert


async def get(connection: AsyncConnection, name: str) -> str | None:
    found = await connection.execute(select(cursor.c.value).where(cursor.c.name == name))
    value: str | None = found.scalar_one_or_none()
    return value


async def put(connection: AsyncConnection, name: str, value: str, *, now: datetime) -> None:
    row = {"name": name, "value": value, "update_time": now}
    await connection.execute(upsert(connection, cursor, row))


async def drop(connection: AsyncConnection, name: str) -> None:
    await connection.execute(delete(cursor).where(cursor.c.name == name))
