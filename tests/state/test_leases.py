"""Leases: who may do what only one may do at a time."""

import asyncio
from datetime import datetime, timedelta

from subscription_state import leases
from subscription_state.database import Database
from tests.builders import NOW, SECOND

LIFETIME = 10 * SECOND


async def acquire(
    database: Database, holder: str, *, now: datetime = NOW, lifetime: timedelta = LIFETIME
) -> bool:
    return await database.write(
        lambda connection: leases.acquire(
            connection, "verify", holder=holder, now=now, lifetime=lifetime
        )
    )


async def release(database: Database, holder: str) -> None:
    await database.write(lambda connection: leases.release(connection, "verify", holder=holder))


async def test_only_one_of_many_that_ask_at_once_holds_it(database: Database) -> None:
    taken = await asyncio.gather(*(acquire(database, f"replica_{n}") for n in range(8)))

    assert taken.count(True) == 1


async def test_nobody_else_gets_it_before_it_runs_out(database: Database) -> None:
    await acquire(database, "one")

    assert not await acquire(database, "other", now=NOW + LIFETIME - SECOND)


async def test_at_its_end_another_takes_it_over_and_the_first_does_not_get_it_back(
    database: Database,
) -> None:
    await acquire(database, "one")

    assert await acquire(database, "other", now=NOW + LIFETIME)
    assert not await acquire(database, "one", now=NOW + LIFETIME)


async def test_whoever_holds_it_renews_it(database: Database) -> None:
    await acquire(database, "one")

    assert await acquire(database, "one", now=NOW + 9 * SECOND)
    assert not await acquire(database, "other", now=NOW + 18 * SECOND)
    assert await acquire(database, "other", now=NOW + 19 * SECOND)


async def test_a_released_one_is_free_at_once(database: Database) -> None:
    await acquire(database, "one")

    await release(database, "one")

    assert await acquire(database, "other")


async def test_only_its_holder_can_release_it(database: Database) -> None:
    await acquire(database, "one")

    await release(database, "other")

    assert not await acquire(database, "other")


async def test_leases_of_other_names_are_others(database: Database) -> None:
    await acquire(database, "one")

    taken = await database.write(
        lambda connection: leases.acquire(
            connection, "sweep", holder="other", now=NOW, lifetime=LIFETIME
        )
    )

    assert taken


async def test_only_those_that_ran_out_are_dropped(database: Database) -> None:
    await acquire(database, "one")

    async def drop(now: datetime) -> int:
        return await database.write(lambda connection: leases.drop_expired(connection, now))

    assert await drop(NOW + LIFETIME - SECOND) == 0
    assert await drop(NOW + LIFETIME) == 1
    assert await acquire(database, "other")
