"""Customers of Stripe's and the accounts that they belong to."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, bindparam, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state.tables import account, change, customer, touched
from subscription_state.upsert import ignoring, replacing


@dataclass(frozen=True, kw_only=True, slots=True)
class Customer:
    """A Stripe customer."""

    customer_id: str
    #: None where no account is known to own it.
    account_id: str | None
    deleted: bool
    #: The ticket of the last save of anything of the customer.
    saved_ticket: int
    #: The ticket of the last read that was saved.
    read_ticket: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A change of an account, as the feed tells it."""

    account_id: str
    revision: int
    change_time: datetime


_LOCK = (
    select(customer)
    .where(customer.c.customer_id.in_(bindparam("ids", expanding=True)))
    .order_by(customer.c.customer_id)
    .with_for_update()
)
_BY_ACCOUNT = select(customer).where(
    customer.c.account_id.in_(bindparam("account_ids", expanding=True))
)
_GIVE_UP = (
    update(customer)
    .where(customer.c.customer_id == bindparam("given_up_by"))
    .values(account_id=None)
)
_SAVE = (
    update(customer)
    .where(customer.c.customer_id == bindparam("saved"))
    .values(
        account_id=bindparam("owner"),
        deleted=bindparam("gone"),
        saved_ticket=bindparam("ticket"),
    )
)


async def lock(connection: AsyncConnection, customer_ids: Iterable[str]) -> dict[str, Customer]:
    """Lock customers for this transaction, by id; unheard-of ones are made, unlinked.

    Always in the order of their ids and before anything is drawn from `head`:
    two transactions that lock the same ones then never wait for each other.
    """
    ids = sorted(set(customer_ids))
    if not ids:
        return {}
    # All unheard-of ones first, then the locks: in both steps by id, so that still
    # nobody waits in a circle.
    unheard = {"account_id": None, "deleted": False, "saved_ticket": 0, "read_ticket": 0}
    await connection.execute(
        ignoring(connection.dialect.name, customer),
        [{"customer_id": customer_id, **unheard} for customer_id in ids],
    )
    found = await connection.execute(_LOCK, {"ids": ids})
    return {row.customer_id: _from_row(row) for row in found}


async def get(connection: AsyncConnection, customer_id: str) -> Customer | None:
    found = await connection.execute(select(customer).where(customer.c.customer_id == customer_id))
    row = found.first()
    return None if row is None else _from_row(row)


async def holders(connection: AsyncConnection, account_ids: Iterable[str]) -> list[Customer]:
    """Give the customers that the accounts have; most new accounts have none."""
    found = await connection.execute(_BY_ACCOUNT, {"account_ids": list(account_ids)})
    return [_from_row(row) for row in found]


async def of_account(connection: AsyncConnection, account_id: str) -> Customer | None:
    found = await connection.execute(select(customer).where(customer.c.account_id == account_id))
    row = found.first()
    return None if row is None else _from_row(row)


async def not_deleted(connection: AsyncConnection) -> list[str]:
    found = await connection.execute(
        select(customer.c.customer_id).where(customer.c.deleted.is_(False))
    )
    return list(found.scalars())


async def count_linked(connection: AsyncConnection) -> tuple[int, int]:
    """Count customers that belong to an account, and those that belong to none."""
    counted = select(func.count(customer.c.account_id), func.count()).where(
        customer.c.deleted.is_(False)
    )
    linked, all_ = (await connection.execute(counted.select_from(customer))).one()
    return linked, all_ - linked


async def longest_unverified(
    connection: AsyncConnection, *, before: datetime, limit: int
) -> list[str]:
    """List customers that nobody compared with Stripe since, nor is about to.

    Those that never were first. Two questions, because one that asks for either
    can use no index.
    """
    waiting = exists().where(touched.c.customer_id == customer.c.customer_id)
    listing = (
        select(customer.c.customer_id)
        .where(customer.c.deleted.is_(False), ~waiting)
        .order_by(customer.c.verified_at, customer.c.customer_id)
    )
    found: list[str] = []
    for when in (customer.c.verified_at.is_(None), customer.c.verified_at < before):
        more = await connection.execute(listing.where(when).limit(limit - len(found)))
        found.extend(more.scalars())
    return found


async def link(connection: AsyncConnection, customer_id: str, account_id: str) -> bool:
    """Tie an unlinked customer to an account; False where either is tied already.

    A customer that Stripe has deleted gives its account up to the new one.
    """
    linking = await get(connection, customer_id)
    if linking is None or linking.account_id is not None:
        return False
    holder = await of_account(connection, account_id)
    if holder is not None and holder.customer_id != customer_id:
        if not holder.deleted:
            return False
        await connection.execute(
            update(customer)
            .where(customer.c.customer_id == holder.customer_id)
            .values(account_id=None)
        )
    linked = await connection.execute(
        update(customer)
        .where(customer.c.customer_id == customer_id, customer.c.account_id.is_(None))
        .values(account_id=account_id)
    )
    return linked.rowcount == 1


async def mark_deleted(connection: AsyncConnection, customer_id: str) -> bool:
    """Note that Stripe has deleted the customer; True the first time."""
    marked = await connection.execute(
        update(customer)
        .where(customer.c.customer_id == customer_id, customer.c.deleted.is_(False))
        .values(deleted=True)
    )
    return marked.rowcount == 1


async def save(connection: AsyncConnection, changed: Iterable[Customer]) -> None:
    """Save customers that are locked by this transaction: owner, deletion, fence."""
    rows = [
        {
            "saved": each.customer_id,
            "owner": each.account_id,
            "gone": each.deleted,
            "ticket": each.saved_ticket,
        }
        for each in changed
    ]
    await connection.execute(_SAVE, rows)


async def give_up(connection: AsyncConnection, customer_ids: Iterable[str]) -> None:
    """Untie customers from their accounts, before others are tied to these."""
    rows = [{"given_up_by": customer_id} for customer_id in customer_ids]
    await connection.execute(_GIVE_UP, rows)


async def note_read(
    connection: AsyncConnection, customer_id: str, ticket: int, verified_at: datetime
) -> None:
    """Note that a read begun after this ticket was saved."""
    await connection.execute(
        update(customer)
        .where(customer.c.customer_id == customer_id)
        .values(saved_ticket=ticket, read_ticket=ticket, verified_at=verified_at)
    )


async def record_change(
    connection: AsyncConnection, account_id: str, revision: int, now: datetime
) -> None:
    """Put a change of the account into the feed that caches and streams follow."""
    entry = Change(account_id=account_id, revision=revision, change_time=now)
    await record_changes(connection, [entry])


async def record_changes(connection: AsyncConnection, changes: Iterable[Change]) -> None:
    """Put changes into the feed, one of each account."""
    dialect = connection.dialect.name
    rows = [
        {"account_id": each.account_id, "revision": each.revision, "change_time": each.change_time}
        for each in sorted(changes, key=lambda each: each.account_id)
    ]
    current = [{name: row[name] for name in ("account_id", "revision")} for row in rows]
    await connection.execute(replacing(dialect, account, "revision"), current)
    await connection.execute(ignoring(dialect, change), rows)


def _from_row(row: Row[tuple[object, ...]]) -> Customer:
    return Customer(
        customer_id=row.customer_id,
        account_id=row.account_id,
        deleted=row.deleted,
        saved_ticket=row.saved_ticket,
        read_ticket=row.read_ticket,
    )
