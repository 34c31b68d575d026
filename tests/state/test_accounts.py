"""An account's state, as it was stored and all as of one revision."""

import asyncio

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import accounts, catalog, customers, head, subscriptions
from subscription_state.accounts import Snapshot
from subscription_state.database import Database
from subscription_state.model import FirstPayment, Grant, Status, Subscription
from subscription_state.tables import grant
from tests.builders import DAY, NOW, a_grant, a_product, a_subscription, an_account, an_item

FULL = a_subscription(
    status=Status.PAST_DUE,
    items=(
        an_item(product_id="prod_plus", price_id="price_plus", quantity=0, period_end=None),
        an_item(quantity=2**40),
    ),
    trial_end=NOW - 3 * DAY,
    cancel_time=NOW + DAY,
    end_time=NOW + 2 * DAY,
    first_payment=FirstPayment.FAILED,
    unpaid_since=NOW - DAY,
)


async def snapshot(database: Database, account_id: str = "acct_1") -> Snapshot:
    async with database.read() as connection:
        return await accounts.snapshot(connection, account_id)


async def add(
    database: Database, *saved: Subscription, account_id: str = "acct_1", customer_id: str = "cus_1"
) -> None:
    async def work(connection: AsyncConnection) -> None:
        await customers.lock(connection, [customer_id])
        await customers.link(connection, customer_id, account_id)
        for each in saved:
            await subscriptions.save(connection, each, freshness={})

    await database.write(work)


async def add_grants(database: Database, *grants: Grant) -> None:
    async def work(connection: AsyncConnection) -> None:
        for each in grants:
            row = {name: getattr(each, name) for name in Grant.__dataclass_fields__}
            await connection.execute(insert(grant).values(**row))

    await database.write(work)


async def test_an_account_that_was_never_heard_of_has_nothing(database: Database) -> None:
    found = await snapshot(database)

    assert found.account == an_account()
    assert found.catalog == {}


async def test_a_subscription_comes_back_as_it_was_saved(database: Database) -> None:
    await add(database, FULL)

    assert (await snapshot(database)).account.subscriptions == (FULL,)


async def test_subscriptions_come_newest_first(database: Database) -> None:
    older = a_subscription(subscription_id="sub_9", create_time=NOW - 2 * DAY)
    newer = a_subscription(subscription_id="sub_1", create_time=NOW - DAY)
    twin = a_subscription(subscription_id="sub_2", create_time=NOW - DAY)
    await add(database, newer, older, twin)

    found = (await snapshot(database)).account.subscriptions

    assert [each.subscription_id for each in found] == ["sub_2", "sub_1", "sub_9"]


async def test_another_accounts_things_are_not_its_own(database: Database) -> None:
    theirs = a_subscription(subscription_id="sub_2", customer_id="cus_2")
    await add(database, a_subscription())
    await add(database, theirs, account_id="acct_2", customer_id="cus_2")
    await add_grants(database, a_grant(), a_grant(grant_id="grant_2", account_id="acct_2"))

    found = (await snapshot(database)).account

    assert found == an_account(a_subscription(), grants=(a_grant(),))


async def test_grants_come_whole_also_those_that_have_ended(database: Database) -> None:
    ended = a_grant(grant_id="grant_0", expire_time=NOW, revoke_time=NOW - DAY)
    await add_grants(database, a_grant(), ended)

    assert (await snapshot(database)).account.grants == (a_grant(), ended)


async def test_a_deleted_customer_is_told(database: Database) -> None:
    await add(database, a_subscription())
    await database.write(lambda connection: customers.mark_deleted(connection, "cus_1"))

    assert (await snapshot(database)).account.customer_deleted


async def test_what_is_read_is_as_of_its_revision(database: Database) -> None:
    """While writers add a subscription with every revision, their numbers always agree."""

    async def add_one(connection: AsyncConnection) -> None:
        locked = a_subscription(subscription_id=f"sub_{await head.draw(connection)}")
        await subscriptions.save(connection, locked, freshness={})

    await add(database)
    begun = (await snapshot(database)).revision.number
    writing = asyncio.gather(*(database.write(add_one) for _ in range(20)))

    while not writing.done():
        found = await snapshot(database)
        assert len(found.account.subscriptions) == found.revision.number - begun

    await writing
    assert len((await snapshot(database)).account.subscriptions) == 20


async def test_the_catalogue_comes_with_it(database: Database) -> None:
    product = a_product("prod_team", "reports")
    await database.write(lambda connection: catalog.save(connection, [product], ticket=1, now=NOW))

    assert (await snapshot(database)).catalog == {"prod_team": product}
