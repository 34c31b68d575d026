"""What can happen to the shared state, a function each, and how a test looks at it afterwards."""

from datetime import datetime
from typing import Any

from alembic import command
from sqlalchemy import Connection, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import accounts, customers, head, subscriptions, touches
from subscription_state.customers import Customer
from subscription_state.database import Database
from subscription_state.ingest import Outcome, ingest
from subscription_state.model import AccountState, StoredSubscription, Subscription
from subscription_state.schema_history import OURS
from subscription_state.tables import metadata
from subscription_state.touches import Touch
from subscription_state.verification import CustomerRead, Saved, save_read
from tests.builders import DAY, NOW, Json, a_customer_read, a_delivery


async def deliver(database: Database, *events: Json, received: datetime = NOW) -> list[Outcome]:
    """Take events in, all in one commit."""
    return await ingest(database, [a_delivery(event, received=received) for event in events])


def upgrade_to(connection: Connection, version: str) -> None:
    """Migrate as the code did that had no later migrations yet."""
    config = OURS.config()
    config.attributes["connection"] = connection
    command.upgrade(config, version)


async def draw(database: Database) -> int:
    return await database.write(head.draw)


async def save(database: Database, read: CustomerRead, *, now: datetime = NOW) -> Saved:
    return await database.write(lambda connection: save_read(connection, read, now=now))


async def verify(
    database: Database, *found: Subscription, now: datetime = NOW, **overrides: Any
) -> Saved:
    """Read a customer from Stripe, which says `found`, and save it."""
    ticket = await draw(database)
    return await save(database, a_customer_read(*found, ticket=ticket, **overrides), now=now)


async def stored(database: Database, subscription_id: str = "sub_1") -> StoredSubscription | None:
    async with database.read() as connection:
        return await subscriptions.get(connection, subscription_id)


async def subscription(database: Database, subscription_id: str = "sub_1") -> Subscription:
    found = await stored(database, subscription_id)
    assert found is not None
    return found.subscription


async def customer(database: Database, customer_id: str = "cus_1") -> Customer | None:
    async with database.read() as connection:
        return await customers.get(connection, customer_id)


async def account(database: Database, account_id: str = "acct_1") -> AccountState:
    async with database.read() as connection:
        return (await accounts.snapshot(connection, account_id)).account


async def revision(database: Database) -> int:
    async with database.read() as connection:
        return (await head.current(connection)).number


async def touched(database: Database) -> list[Touch]:
    """List all that wait for a verify, due or not."""
    async with database.read() as connection:
        return await touches.due(connection, now=NOW + 999 * DAY, limit=999)


async def is_urgent(database: Database) -> bool:
    """Tell whether the one customer that was touched has to be read at once."""
    (one,) = await touched(database)
    return one.urgent


async def rows(database: Database, table: Table) -> list[Any]:
    async with database.read() as connection:
        return list(await connection.execute(select(table)))


async def filled_tables(database: Database) -> set[str]:
    """Name the tables that hold anything, but for what every migrated database holds."""

    async def is_filled(connection: AsyncConnection, table: Table) -> bool:
        counted = await connection.execute(select(func.count()).select_from(table))
        return bool(counted.scalar_one())

    async with database.read() as connection:
        tables = metadata.sorted_tables
        filled = {table.name for table in tables if await is_filled(connection, table)}
    return filled - {"head", "deployment"}
