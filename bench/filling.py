"""Fills a database with accounts that pay, by statements that make them where they are stored."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bench.stacks import FEATURE
from subscription_state.database import Database

PREFIX = "filled-"
#: Accounts made in one transaction.
AT_ONCE = 50_000
NUMBERS = (
    "WITH RECURSIVE number(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM number"
    " WHERE n < {last})"
)
CUSTOMERS = (
    "INSERT INTO customer (customer_id, account_id, deleted, saved_ticket, read_ticket,"
    " verified_at) {numbers} SELECT 'cus_filled' || n, '{prefix}' || n, false, 0, 0, '{now}'"
    " FROM number"
)
SUBSCRIPTIONS = (
    "INSERT INTO subscription (subscription_id, customer_id, status, items, create_time,"
    " first_payment) {numbers} SELECT 'sub_filled' || n, 'cus_filled' || n, 'active', '{items}',"
    " '{now}', 'confirmed' FROM number"
)
PRODUCT = "SELECT product_id FROM product_feature WHERE feature = :feature LIMIT 1"


def account(number: int) -> str:
    return f"{PREFIX}{number}"


async def fill_up(url: str, *, first: int, last: int) -> None:
    """Make the accounts of these numbers, each with a subscription that gives the feature."""
    database = Database.at(url)
    try:
        for number in range(first, last + 1, AT_ONCE):
            await _fill(database, first=number, last=min(last, number + AT_ONCE - 1))
        await _tell_planner(database)
    finally:
        await database.close()


async def _fill(database: Database, *, first: int, last: int) -> None:

    async def work(connection: AsyncConnection) -> None:
        product = (await connection.execute(text(PRODUCT), {"feature": FEATURE})).scalar_one()
        values = _values(database.dialect, product, first, last)
        for statement in (CUSTOMERS, SUBSCRIPTIONS):
            await connection.exec_driver_sql(statement.format(**values))

    await database.write(work)


async def _tell_planner(database: Database) -> None:
    """Have PostgreSQL count the rows; by itself it does minutes later, and plans badly so far."""

    async def work(connection: AsyncConnection) -> None:
        for table in ("customer", "subscription"):
            await connection.exec_driver_sql(f"ANALYZE {table}")

    if database.dialect == "postgresql":
        await database.write(work)


def _values(dialect: str, product: str, first: int, last: int) -> dict[str, Any]:
    # An hour ahead, so that no sweep reads them from a Stripe that does not know them.
    now = datetime.now(UTC) + timedelta(hours=1)
    plain = now.replace(tzinfo=None).isoformat(" ", "microseconds")
    item = {"price_id": "price_1", "product_id": product, "quantity": 1, "period_end": None}
    return {
        "numbers": NUMBERS.format(first=first, last=last),
        "prefix": PREFIX,
        "items": json.dumps([item]),
        "now": plain if dialect == "sqlite" else f"{plain}+00",
    }
