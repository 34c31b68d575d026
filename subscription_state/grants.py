"""Features given by hand, as rows. A grant is never deleted: it tells who gave what, and why."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import customers, head
from subscription_state.model import Grant
from subscription_state.tables import grant
from subscription_state.upsert import insert_or_ignore


async def of_account(connection: AsyncConnection, account_id: str) -> tuple[Grant, ...]:
    """List an account's grants, ended ones too, newest first."""
    return (await of_accounts(connection, [account_id])).get(account_id, ())


async def of_accounts(
    connection: AsyncConnection, account_ids: Collection[str]
) -> dict[str, tuple[Grant, ...]]:
    """List the grants of accounts, each account's as `of_account` does; none has no entry."""
    found = await connection.execute(select(grant).where(grant.c.account_id.in_(account_ids)))
    grants = [_from_row(row) for row in found]
    listed: dict[str, tuple[Grant, ...]] = {}
    # Databases sort letters each in its own way.
    for each in sorted(grants, key=lambda each: (each.create_time, each.grant_id), reverse=True):
        listed[each.account_id] = (*listed.get(each.account_id, ()), each)
    return listed


async def get(connection: AsyncConnection, grant_id: str) -> Grant | None:
    found = await connection.execute(select(grant).where(grant.c.grant_id == grant_id))
    row = found.first()
    return None if row is None else _from_row(row)


async def create(connection: AsyncConnection, given: Grant) -> Grant:
    """Save the grant; give the one that has its id already, if there is one."""
    row = {
        "grant_id": given.grant_id,
        "account_id": given.account_id,
        "feature": given.feature,
        "expire_time": given.expire_time,
        "note": given.note,
        "creator": given.creator,
        "create_time": given.create_time,
        "revoke_time": given.revoke_time,
    }
    created = await connection.execute(insert_or_ignore(connection, grant, row))
    if created.rowcount == 0:
        before = await get(connection, given.grant_id)
        return before or given
    await _publish(connection, given.account_id, given.create_time)
    return given


async def revoke(connection: AsyncConnection, grant_id: str, now: datetime) -> Grant | None:
    """End a grant now; one that has ended stays as it is. None where there is no such grant."""
    ended = await connection.execute(
        update(grant)
        .where(grant.c.grant_id == grant_id, grant.c.revoke_time.is_(None))
        .where((grant.c.expire_time.is_(None)) | (grant.c.expire_time > now))
        .values(revoke_time=now)
    )
    revoked = await get(connection, grant_id)
    if revoked is not None and ended.rowcount:
        await _publish(connection, revoked.account_id, now)
    return revoked


async def forget_notes(connection: AsyncConnection, account_id: str) -> None:
    """Erase why features were given: people write names into notes."""
    await connection.execute(update(grant).where(grant.c.account_id == account_id).values(note=""))


async def _publish(connection: AsyncConnection, account_id: str, now: datetime) -> None:
    revision = await head.draw(connection)
    await customers.record_change(connection, account_id, revision, now)


def _from_row(row: Row[Any]) -> Grant:
    return Grant(
        grant_id=row.grant_id,
        account_id=row.account_id,
        feature=row.feature,
        expire_time=row.expire_time,
        note=row.note,
        creator=row.creator,
        create_time=row.create_time,
        revoke_time=row.revoke_time,
    )
