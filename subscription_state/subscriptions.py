"""Subscriptions in the database: rows read into the model and back."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state.model import (
    FirstPayment,
    Item,
    Status,
    StoredSubscription,
    Subscription,
)
from subscription_state.tables import customer, subscription
from subscription_state.upsert import replacing

_BY_ID = select(subscription).where(
    subscription.c.subscription_id.in_(bindparam("ids", expanding=True))
)


async def get(connection: AsyncConnection, subscription_id: str) -> StoredSubscription | None:
    found = await connection.execute(
        select(subscription).where(subscription.c.subscription_id == subscription_id)
    )
    row = found.first()
    return None if row is None else from_row(row)


async def of_ids(
    connection: AsyncConnection, subscription_ids: Iterable[str]
) -> dict[str, StoredSubscription]:
    """Read those that are stored, by id."""
    found = await connection.execute(_BY_ID, {"ids": list(subscription_ids)})
    return {row.subscription_id: from_row(row) for row in found}


async def of_customer(connection: AsyncConnection, customer_id: str) -> list[StoredSubscription]:
    found = await connection.execute(
        select(subscription).where(subscription.c.customer_id == customer_id)
    )
    return [from_row(row) for row in found]


async def of_account(connection: AsyncConnection, account_id: str) -> list[StoredSubscription]:
    """List an account's subscriptions, newest first."""
    found = await connection.execute(
        select(subscription)
        .join(customer, customer.c.customer_id == subscription.c.customer_id)
        .where(customer.c.account_id == account_id)
        .order_by(subscription.c.create_time.desc(), subscription.c.subscription_id.desc())
    )
    return [from_row(row) for row in found]


async def save(
    connection: AsyncConnection, saved: Subscription, *, freshness: Mapping[str, datetime | None]
) -> None:
    """Save the subscription; `freshness` names the columns that say how fresh it is."""
    await save_all(connection, [{**to_row(saved), **freshness}])


async def save_all(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Save rows of the same columns; what they do not name is left as it is."""
    names = sorted(rows[0].keys() - {"subscription_id"})
    await connection.execute(
        replacing(connection.dialect.name, subscription, *names), [dict(row) for row in rows]
    )


def to_row(saved: Subscription) -> dict[str, Any]:
    return {
        "subscription_id": saved.subscription_id,
        "customer_id": saved.customer_id,
        "status": saved.status.value,
        "items": [_item_to_json(item) for item in saved.items],
        "create_time": saved.create_time,
        "trial_end": saved.trial_end,
        "cancel_time": saved.cancel_time,
        "end_time": saved.end_time,
        "first_payment": saved.first_payment.value,
        "unpaid_since": saved.unpaid_since,
    }


def from_row(row: Row[Any]) -> StoredSubscription:
    return StoredSubscription(
        subscription=Subscription(
            subscription_id=row.subscription_id,
            customer_id=row.customer_id,
            status=Status(row.status),
            items=tuple(_item_from_json(item) for item in row.items),
            create_time=row.create_time,
            trial_end=row.trial_end,
            cancel_time=row.cancel_time,
            end_time=row.end_time,
            first_payment=FirstPayment(row.first_payment),
            unpaid_since=row.unpaid_since,
        ),
        event_time=row.event_time,
        as_of_start=row.as_of_start,
        as_of_end=row.as_of_end,
        verified_at=row.verified_at,
    )


def _item_to_json(item: Item) -> dict[str, Any]:
    return {
        "price_id": item.price_id,
        "product_id": item.product_id,
        "quantity": item.quantity,
        "period_end": item.period_end.isoformat() if item.period_end else None,
    }


def _item_from_json(raw: Mapping[str, Any]) -> Item:
    ends = raw["period_end"]
    return Item(
        price_id=raw["price_id"],
        product_id=raw["product_id"],
        quantity=raw["quantity"],
        period_end=datetime.fromisoformat(ends) if ends else None,
    )
