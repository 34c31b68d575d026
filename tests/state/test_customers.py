"""Customers and the accounts that own them: one each, whatever comes at once."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import customers, head
from subscription_state.customers import Customer
from subscription_state.database import Database
from subscription_state.tables import customer
from tests.builders import NOW


async def lock(database: Database, *customer_ids: str) -> dict[str, Customer]:
    return await database.write(lambda connection: customers.lock(connection, customer_ids))


async def link(database: Database, customer_id: str, account_id: str) -> bool:
    async def work(connection: AsyncConnection) -> bool:
        await customers.lock(connection, [customer_id])
        return await customers.link(connection, customer_id, account_id)

    return await database.write(work)


async def delete(database: Database, customer_id: str) -> bool:
    return await database.write(lambda connection: customers.mark_deleted(connection, customer_id))


async def get(database: Database, customer_id: str) -> Customer | None:
    async with database.read() as connection:
        return await customers.get(connection, customer_id)


async def owner(database: Database, customer_id: str) -> str | None:
    found = await get(database, customer_id)
    return None if found is None else found.account_id


async def of_account(database: Database, account_id: str) -> str | None:
    async with database.read() as connection:
        found = await customers.of_account(connection, account_id)
    return None if found is None else found.customer_id


class TestLocking:
    async def test_one_that_was_never_heard_of_is_made_unlinked(self, database: Database) -> None:
        locked = await lock(database, "cus_2", "cus_1", "cus_2")

        fresh = {"account_id": None, "deleted": False, "saved_ticket": 0, "read_ticket": 0}
        assert locked == {
            "cus_1": Customer(customer_id="cus_1", **fresh),
            "cus_2": Customer(customer_id="cus_2", **fresh),
        }

    async def test_one_that_is_known_is_left_as_it_is(self, database: Database) -> None:
        await link(database, "cus_1", "acct_1")

        assert (await lock(database, "cus_1"))["cus_1"].account_id == "acct_1"

    async def test_nothing_to_lock_locks_nothing(self, database: Database) -> None:
        assert await lock(database) == {}

    async def test_whoever_locks_the_same_customer_waits_for_the_commit(
        self, database: Database
    ) -> None:
        seen = []

        async def work(connection: AsyncConnection) -> None:
            locked = await customers.lock(connection, ["cus_1"])
            ticket = locked["cus_1"].saved_ticket + 1
            await asyncio.sleep(0.005)
            seen.append(ticket)
            await customers.save(connection, [replace(locked["cus_1"], saved_ticket=ticket)])

        await asyncio.gather(*(database.write(work) for _ in range(8)))

        assert seen == list(range(1, 9))

    async def test_whatever_the_order_of_asking_nobody_waits_for_another_in_a_circle(
        self, database: Database
    ) -> None:
        attempts = 0

        async def work(connection: AsyncConnection, customer_ids: Sequence[str]) -> None:
            nonlocal attempts
            attempts += 1
            await customers.lock(connection, customer_ids)
            await head.draw(connection)

        names = [f"cus_{n}" for n in range(6)]
        await asyncio.gather(
            *(
                database.write(lambda connection, at=at: work(connection, names[at:] + names[:at]))
                for at in range(6)
            )
        )

        assert attempts == 6


class TestLinking:
    async def test_a_customer_is_tied_to_its_account_once(self, database: Database) -> None:
        assert await link(database, "cus_1", "acct_1") is True
        assert await link(database, "cus_1", "acct_1") is False
        assert await owner(database, "cus_1") == "acct_1"

    async def test_a_tied_customer_is_not_given_to_another_account(
        self, database: Database
    ) -> None:
        await link(database, "cus_1", "acct_1")

        assert await link(database, "cus_1", "acct_2") is False
        assert await owner(database, "cus_1") == "acct_1"

    async def test_an_account_has_one_customer(self, database: Database) -> None:
        await link(database, "cus_1", "acct_1")

        assert await link(database, "cus_2", "acct_1") is False
        assert await owner(database, "cus_2") is None

    async def test_of_many_that_are_linked_to_an_account_at_once_one_wins(
        self, database: Database
    ) -> None:
        won = await asyncio.gather(*(link(database, f"cus_{n}", "acct_1") for n in range(6)))

        assert won.count(True) == 1
        assert await of_account(database, "acct_1") == f"cus_{won.index(True)}"
        async with database.read() as connection:
            tied = select(func.count()).where(customer.c.account_id.is_not(None))
            assert (await connection.execute(tied)).scalar_one() == 1

    async def test_an_unknown_customer_is_not_linked(self, database: Database) -> None:
        linked = await database.write(
            lambda connection: customers.link(connection, "cus_1", "acct_1")
        )

        assert linked is False
        assert await of_account(database, "acct_1") is None

    async def test_a_deleted_customer_gives_its_account_up_to_a_new_one(
        self, database: Database
    ) -> None:
        await link(database, "cus_old", "acct_1")
        await delete(database, "cus_old")

        assert await link(database, "cus_new", "acct_1") is True
        assert await owner(database, "cus_old") is None
        assert await of_account(database, "acct_1") == "cus_new"

    async def test_late_news_of_a_deleted_customer_do_not_take_the_account_back(
        self, database: Database
    ) -> None:
        await link(database, "cus_old", "acct_1")
        await delete(database, "cus_old")
        await link(database, "cus_new", "acct_1")

        assert await link(database, "cus_old", "acct_1") is False
        assert await of_account(database, "acct_1") == "cus_new"

    async def test_a_customer_of_another_account_does_not_cost_a_deleted_one_its_account(
        self, database: Database
    ) -> None:
        await link(database, "cus_old", "acct_1")
        await delete(database, "cus_old")
        await link(database, "cus_2", "acct_2")

        assert await link(database, "cus_2", "acct_1") is False
        assert await owner(database, "cus_old") == "acct_1"


class TestTickets:
    async def test_a_read_is_a_save_too(self, database: Database) -> None:
        await lock(database, "cus_1")

        await database.write(lambda connection: customers.note_read(connection, "cus_1", 7, NOW))

        found = await get(database, "cus_1")
        assert found is not None
        assert (found.saved_ticket, found.read_ticket) == (7, 7)


async def test_a_customer_is_deleted_once(database: Database) -> None:
    await lock(database, "cus_1")

    assert await delete(database, "cus_1") is True
    assert await delete(database, "cus_1") is False
    assert await delete(database, "cus_unknown") is False
    found = await get(database, "cus_1")
    assert found is not None
    assert found.deleted


async def test_what_was_never_heard_of_is_not_there(database: Database) -> None:
    assert await get(database, "cus_1") is None
    assert await of_account(database, "acct_1") is None
