"""An account's whole state, read as of one revision."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import catalog, customers, head, subscriptions
from subscription_state.catalog import Catalog
from subscription_state.model import AccountState, Grant
from subscription_state.revision import Revision
from subscription_state.tables import grant


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """An account and the catalogue at one point of the history."""

    account: AccountState
    catalog: Catalog
    revision: Revision


async def snapshot(connection: AsyncConnection, account_id: str) -> Snapshot:
    """Read an account; one that was never heard of has nothing."""
    revision = await head.current(connection)
    owner = await customers.of_account(connection, account_id)
    stored = await subscriptions.of_account(connection, account_id)
    return Snapshot(
        account=AccountState(
            account_id=account_id,
            subscriptions=tuple(each.subscription for each in stored),
            grants=await _grants(connection, account_id),
            customer_deleted=owner is not None and owner.deleted,
        ),
        catalog=await catalog.load(connection),
        revision=revision,
    )


async def _grants(connection: AsyncConnection, account_id: str) -> tuple[Grant, ...]:
    found = await connection.execute(
        select(grant).where(grant.c.account_id == account_id).order_by(grant.c.grant_id)
    )
    return tuple(_grant(row) for row in found)


def _grant(row: Row[Any]) -> Grant:
    expire: datetime | None = row.expire_time
    return Grant(
        grant_id=row.grant_id,
        account_id=row.account_id,
        feature=row.feature,
        expire_time=expire,
        note=row.note,
        creator=row.creator,
        create_time=row.create_time,
        revoke_time=row.revoke_time,
    )
