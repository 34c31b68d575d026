"""An account's whole state, read as of one revision."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import catalog, customers, grants, head, subscriptions
from subscription_state.catalog import Catalog
from subscription_state.model import AccountState
from subscription_state.revision import Revision


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
            grants=await grants.of_account(connection, account_id),
            customer_deleted=owner is not None and owner.deleted,
        ),
        catalog=await catalog.load(connection),
        revision=revision,
    )
