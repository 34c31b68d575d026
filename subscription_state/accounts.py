"""Accounts' whole states, read as of one revision."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import catalog, grants, head, subscriptions
from subscription_state.catalog import Catalog
from subscription_state.model import AccountState, Subscription
from subscription_state.revision import Revision
from subscription_state.tables import customer, subscription

#: How many accounts one statement asks for. Few sizes, so that the driver prepares
#: few statements; the last is within the parameters that both databases take.
SIZES = (1, 10, 100, 1000)


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """An account and the catalogue at one point of the history."""

    account: AccountState
    catalog: Catalog
    revision: Revision


async def snapshot(connection: AsyncConnection, account_id: str) -> Snapshot:
    """Read an account; one that was never heard of has nothing."""
    revision = await head.current(connection)
    return Snapshot(
        account=(await load(connection, [account_id]))[account_id],
        catalog=await catalog.load(connection),
        revision=revision,
    )


async def load(
    connection: AsyncConnection, account_ids: Collection[str]
) -> dict[str, AccountState]:
    """Read accounts in two statements a thousand; each that is asked for is in the answer."""
    states = {}
    for ids in _portions(account_ids):
        subscribed, deleted = await _subscriptions(connection, ids)
        granted = await grants.of_accounts(connection, ids)
        for account_id in ids:
            states[account_id] = AccountState(
                account_id=account_id,
                subscriptions=tuple(subscribed.get(account_id, ())),
                grants=granted.get(account_id, ()),
                customer_deleted=account_id in deleted,
            )
    return states


def _portions(account_ids: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(sorted(set(account_ids)))
    while portion := list(islice(remaining, SIZES[-1])):
        size = next(size for size in SIZES if len(portion) <= size)
        yield portion + portion[-1:] * (size - len(portion))


async def _subscriptions(
    connection: AsyncConnection, account_ids: list[str]
) -> tuple[dict[str, list[Subscription]], set[str]]:
    """Give the accounts' subscriptions, newest first, and those whose customers were deleted."""
    found = await connection.execute(
        select(customer.c.account_id, customer.c.deleted, subscription)
        .join_from(customer, subscription, _of_customer(), isouter=True)
        .where(customer.c.account_id.in_(account_ids))
        .order_by(subscription.c.create_time.desc(), subscription.c.subscription_id.desc())
    )
    held: dict[str, list[Subscription]] = {}
    deleted = set()
    for row in found:
        if row.deleted:
            deleted.add(row.account_id)
        if row.subscription_id is not None:
            one = subscriptions.from_row(row).subscription
            held.setdefault(row.account_id, []).append(one)
    return held, deleted


def _of_customer() -> Any:
    return subscription.c.customer_id == customer.c.customer_id
