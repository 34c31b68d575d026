"""The mirror of the catalogue: never older than it was, and its changes reach accounts."""

from collections.abc import Iterable

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import catalog, customers, head, subscriptions
from subscription_state.catalog import Catalog, Product
from subscription_state.database import Database
from subscription_state.tables import account, change, customer, subscription
from tests.builders import DAY, NOW, a_catalog, a_product, a_subscription, an_item

TEAM = a_product("prod_team", "reports", "export")
PLUS = a_product("prod_plus", "reports", name="Plus")


async def save(database: Database, products: Iterable[Product], *, ticket: int) -> frozenset[str]:
    return await database.write(
        lambda connection: catalog.save(connection, products, ticket=ticket, now=NOW)
    )


async def load(database: Database) -> Catalog:
    async with database.read() as connection:
        return await catalog.load(connection)


async def is_due(database: Database) -> bool:
    async with database.read() as connection:
        return await catalog.is_due(connection, older_than=NOW - DAY)


async def want_read(database: Database) -> int:
    async def work(connection: AsyncConnection) -> int:
        ticket = await head.draw(connection)
        await catalog.want_read(connection, ticket)
        return ticket

    return await database.write(work)


async def add_subscription(database: Database, number: int, *product_ids: str) -> None:
    """Give account and customer of this number a subscription to the products."""

    async def work(connection: AsyncConnection) -> None:
        customer_id = f"cus_{number}"
        await customers.lock(connection, [customer_id])
        if number:
            await customers.link(connection, customer_id, f"acct_{number}")
        subscription = a_subscription(
            subscription_id=f"sub_{number}",
            customer_id=customer_id,
            items=tuple(an_item(product_id=each) for each in product_ids),
        )
        await subscriptions.save(connection, subscription, freshness={})

    await database.write(work)


async def changed_accounts(database: Database) -> list[str]:
    async with database.read() as connection:
        found = await connection.execute(select(change.c.account_id).order_by(change.c.revision))
        return list(found.scalars())


async def test_a_read_replaces_the_mirror(database: Database) -> None:
    await save(database, [TEAM, PLUS], ticket=1)
    assert await load(database) == a_catalog(TEAM, PLUS)

    fewer = a_product("prod_team", "export")
    await save(database, [fewer], ticket=2)

    assert await load(database) == {"prod_team": fewer}


async def test_a_products_days_of_grace_come_and_go(database: Database) -> None:
    for ticket, days in enumerate((0, 14, None), start=1):
        product = a_product("prod_team", grace_days=days)

        assert await save(database, [product], ticket=ticket) == {"prod_team"}

        assert await load(database) == {"prod_team": product}


async def test_accounts_by_the_thousand_are_told_of_an_edit_in_order(database: Database) -> None:
    async def work(connection: AsyncConnection) -> None:
        rows = [{"customer_id": f"cus_{n}", "account_id": f"acct_{n:04}"} for n in range(1200)]
        await connection.execute(customer.insert(), rows)
        held = [
            {
                **subscriptions.to_row(a_subscription(subscription_id=f"sub_{row['customer_id']}")),
                "customer_id": row["customer_id"],
            }
            for row in rows
        ]
        await connection.execute(subscription.insert(), held)

    await database.write(work)
    await save(database, [TEAM], ticket=1)
    await save(database, [a_product("prod_team", "reports")], ticket=2)

    told = await changed_accounts(database)
    assert told == [f"acct_{n:04}" for n in range(1200)] * 2
    async with database.read() as connection:
        newest = (await connection.execute(select(func.max(change.c.revision)))).scalar_one()
        known = (await connection.execute(select(func.max(account.c.revision)))).scalar_one()
        assert newest == known == (await head.current(connection)).number


async def test_a_product_without_features_is_known(database: Database) -> None:
    await save(database, [a_product("prod_plain")], ticket=1)

    assert await load(database) == {"prod_plain": a_product("prod_plain")}


async def test_a_read_tells_which_products_changed(database: Database) -> None:
    assert await save(database, [TEAM, PLUS], ticket=1) == {"prod_team", "prod_plus"}
    assert await save(database, [TEAM, PLUS], ticket=2) == frozenset()
    assert await save(database, [a_product("prod_team", "reports"), PLUS], ticket=3) == {
        "prod_team"
    }
    assert await save(database, [PLUS], ticket=4) == {"prod_team"}


async def test_a_read_older_than_the_stored_one_is_dropped(database: Database) -> None:
    await save(database, [TEAM], ticket=5)

    assert await save(database, [PLUS], ticket=4) == frozenset()
    assert await save(database, [PLUS], ticket=5) == frozenset()

    assert await load(database) == a_catalog(TEAM)


async def test_a_change_reaches_the_accounts_that_have_the_product_and_no_others(
    database: Database,
) -> None:
    await add_subscription(database, 1, "prod_team")
    await add_subscription(database, 2, "prod_plus")
    await add_subscription(database, 3, "prod_other", "prod_team")
    await add_subscription(database, 0, "prod_team")  # owned by no account
    await save(database, [PLUS], ticket=1)
    before = await changed_accounts(database)

    await save(database, [TEAM, PLUS], ticket=2)

    assert before == ["acct_2"]
    assert await changed_accounts(database) == ["acct_2", "acct_1", "acct_3"]


async def test_a_read_that_finds_nothing_new_reaches_nobody(database: Database) -> None:
    await add_subscription(database, 1, "prod_team")
    await save(database, [TEAM], ticket=1)
    before = await changed_accounts(database)

    await save(database, [TEAM], ticket=2)

    assert await changed_accounts(database) == before


async def test_a_mirror_that_was_never_read_is_due(database: Database) -> None:
    assert await is_due(database)

    await want_read(database)

    assert await is_due(database)


async def test_a_mirror_is_due_once_it_is_too_old(database: Database) -> None:
    await save(database, [TEAM], ticket=1)

    async with database.read() as connection:
        assert not await catalog.is_due(connection, older_than=NOW)
        assert await catalog.is_due(connection, older_than=NOW + DAY)


async def test_a_change_that_was_heard_of_makes_it_due_until_a_read_that_began_later(
    database: Database,
) -> None:
    began = await database.write(head.draw)
    await want_read(database)
    assert await is_due(database)

    await save(database, [TEAM], ticket=began)
    assert await is_due(database)

    await save(database, [TEAM], ticket=await database.write(head.draw))
    assert not await is_due(database)


async def test_a_change_heard_of_after_the_read_makes_it_due_again(database: Database) -> None:
    await save(database, [TEAM], ticket=await database.write(head.draw))
    assert not await is_due(database)

    await want_read(database)

    assert await is_due(database)
    assert await load(database) == a_catalog(TEAM)


async def test_products_are_counted(database: Database) -> None:
    await save(database, [TEAM, PLUS], ticket=1)

    async with database.read() as connection:
        assert await catalog.count_products(connection) == 2
