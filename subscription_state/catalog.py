"""Which features a product gives, mirrored from Stripe."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import customers, head
from subscription_state.tables import (
    catalog_mirror,
    customer,
    product,
    product_feature,
    subscription,
)
from subscription_state.upsert import insert_or_ignore, upsert

MIRROR_ID = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Product:
    """A product and the lookup keys of the features that it gives."""

    product_id: str
    name: str
    features: frozenset[str]
    #: For how long its late payment is forgiven; None where the service's setting decides.
    grace_days: int | None = None


Catalog = dict[str, Product]


async def load(connection: AsyncConnection) -> Catalog:
    """Load all products by id."""
    features: dict[str, set[str]] = {}
    for row in await connection.execute(select(product_feature)):
        features.setdefault(row.product_id, set()).add(row.feature)
    return {
        row.product_id: Product(
            product_id=row.product_id,
            name=row.name,
            features=frozenset(features.get(row.product_id, ())),
            grace_days=row.grace_days,
        )
        for row in await connection.execute(select(product))
    }


async def want_read(connection: AsyncConnection, ticket: int) -> None:
    """Note that the catalogue changed at Stripe and has to be read again."""
    row = {"mirror_id": MIRROR_ID, "wanted_ticket": ticket, "read_ticket": 0}
    await connection.execute(
        upsert(connection, catalog_mirror, row, update={"wanted_ticket": ticket})
    )


async def is_due(connection: AsyncConnection, *, older_than: datetime) -> bool:
    """Tell whether the mirror has to be read: never read, too old, or known to have changed."""
    row = (await connection.execute(select(catalog_mirror))).first()
    if row is None or row.read_time is None or row.read_time < older_than:
        return True
    return bool(row.wanted_ticket > row.read_ticket)


async def save(
    connection: AsyncConnection, products: Iterable[Product], *, ticket: int, now: datetime
) -> frozenset[str]:
    """Replace the mirror by a read that began after `ticket` was drawn.

    Give the products whose features changed; every account that has one of
    them gets a revision. A read older than the stored one is dropped.
    """
    if not await _claim_mirror(connection, ticket, now):
        return frozenset()
    before, after = await load(connection), {each.product_id: each for each in products}
    changed = frozenset(
        product_id
        for product_id in before.keys() | after.keys()
        if before.get(product_id) != after.get(product_id)
    )
    for product_id in sorted(changed):
        await _replace(connection, product_id, after.get(product_id))
    if changed:
        # Drawn before accounts are looked for: who gets one of the products meanwhile draws
        # after our commit, and is decided on by the new catalogue.
        await head.draw(connection)
        await _record_changes(connection, await _accounts_with(connection, changed), now)
    return changed


async def _record_changes(
    connection: AsyncConnection, account_ids: list[str], now: datetime
) -> None:
    if not account_ids:
        return
    drawn = await head.draw_many(connection, len(account_ids))
    told = zip(account_ids, drawn, strict=True)
    changes = [
        customers.Change(account_id=account_id, revision=revision, change_time=now)
        for account_id, revision in told
    ]
    await customers.record_changes(connection, changes)


async def lock(connection: AsyncConnection) -> None:
    """Lock the mirror for this transaction, before anything is drawn from `head`."""
    row = {"mirror_id": MIRROR_ID, "wanted_ticket": 0, "read_ticket": 0}
    await connection.execute(insert_or_ignore(connection, catalog_mirror, row))
    await connection.execute(select(catalog_mirror.c.mirror_id).with_for_update())


async def _claim_mirror(connection: AsyncConnection, ticket: int, now: datetime) -> bool:
    await lock(connection)
    claimed = await connection.execute(
        update(catalog_mirror)
        .where(catalog_mirror.c.read_ticket < ticket)
        .values(read_ticket=ticket, read_time=now)
    )
    return claimed.rowcount == 1


async def _replace(connection: AsyncConnection, product_id: str, after: Product | None) -> None:
    await connection.execute(
        delete(product_feature).where(product_feature.c.product_id == product_id)
    )
    if after is None:
        await connection.execute(delete(product).where(product.c.product_id == product_id))
        return
    row = {"product_id": product_id, "name": after.name, "grace_days": after.grace_days}
    await connection.execute(upsert(connection, product, row))
    for feature in sorted(after.features):
        await connection.execute(
            product_feature.insert().values(product_id=product_id, feature=feature)
        )


async def _accounts_with(connection: AsyncConnection, product_ids: frozenset[str]) -> list[str]:
    """List accounts with a subscription to one of the products.

    Items are read here rather than asked for in SQL: a question into JSON is
    spelled differently by every database, and catalogue edits are rare.
    """
    if not product_ids:
        return []
    rows = await connection.execute(
        select(customer.c.account_id, subscription.c["items"])
        .join(subscription, subscription.c.customer_id == customer.c.customer_id)
        .where(customer.c.account_id.is_not(None))
    )
    return sorted(
        {
            row.account_id
            for row in rows
            if any(item["product_id"] in product_ids for item in row.items)
        }
    )


async def count_products(connection: AsyncConnection) -> int:
    return int((await connection.execute(select(func.count()).select_from(product))).scalar_one())
