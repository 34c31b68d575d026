"""Customers of Stripe's and the accounts that they belong to."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state.tables import account, change, customer, touched
from subscription_state.upsert import insert_or_ignore, upsert


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


async def lock(connection: AsyncConnection, customer_ids: Iterable[str]) -> dict[str, Customer]:
    """Lock customers for this transaction, by id; unheard-of ones are made, unlinked.

    Always in the order of their ids and before anything is drawn from `head`:
    two transactions that lock the same ones then never wait for each other.
    """
    locked = {}
    for customer_id in sorted(set(customer_ids)):
        row = {"customer_id": customer_id, "deleted": False, "saved_ticket": 0, "read_ticket": 0}
        await connection.execute(insert_or_ignore(connection, customer, row))
        found = await connection.execute(
            select(customer).where(customer.c.customer_id == customer_id).with_for_update()
        )
        locked[customer_id] = _from_row(found.one())
    return locked


async def get(connection: AsyncConnection, customer_id: str) -> Customer | None:
    found = await connection.execute(select(customer).where(customer.c.customer_id == customer_id))
    row = found.first()
    return None if row is None else _from_row(row)


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
    """List customers that nobody compared with Stripe since, nor is about to."""
    waiting = select(touched.c.customer_id)
    found = await connection.execute(
        select(customer.c.customer_id)
        .where(customer.c.deleted.is_(False), customer.c.customer_id.not_in(waiting))
        .where(or_(customer.c.verified_at.is_(None), customer.c.verified_at < before))
        .order_by(customer.c.verified_at.nulls_first(), customer.c.customer_id)
        .limit(limit)
    )
    return list(found.scalars())


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


async def fence(connection: AsyncConnection, customer_id: str, ticket: int) -> None:
    """Note that something of the customer was saved under this ticket."""
    await connection.execute(
        update(customer)
        .where(customer.c.customer_id == customer_id, customer.c.saved_ticket < ticket)
        .values(saved_ticket=ticket)
    )


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
    row = {"account_id": account_id, "revision": revision}
    await connection.execute(upsert(connection, account, row))
    entry = {"revision": revision, "account_id": account_id, "change_time": now}
    await connection.execute(insert_or_ignore(connection, change, entry))


def _from_row(row: Row[tuple[object, ...]]) -> Customer:
    return Customer(
        customer_id=row.customer_id,
        account_id=row.account_id,
        deleted=row.deleted,
        saved_ticket=row.saved_ticket,
        read_ticket=row.read_ticket,
    )
