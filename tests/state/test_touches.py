"""Touched customers: none is forgotten, one read serves many touches."""

from datetime import datetime

from subscription_state import touches
from subscription_state.database import Database
from subscription_state.touches import COALESCE, Backlog, Touch
from tests.builders import NOW, SECOND


async def touch(
    database: Database,
    customer_id: str = "cus_1",
    *,
    ticket: int = 1,
    urgent: bool = False,
    now: datetime = NOW,
) -> None:
    await database.write(
        lambda connection: touches.touch(
            connection, customer_id, ticket=ticket, urgent=urgent, now=now
        )
    )


async def clear(database: Database, *, up_to: int) -> None:
    await database.write(lambda connection: touches.clear(connection, "cus_1", up_to=up_to))


async def postpone(database: Database, *, until: datetime) -> None:
    await database.write(lambda connection: touches.postpone(connection, "cus_1", until=until))


async def due(database: Database, *, now: datetime = NOW, limit: int = 10) -> list[Touch]:
    async with database.read() as connection:
        return await touches.due(connection, now=now, limit=limit)


async def is_due(database: Database, now: datetime) -> bool:
    return bool(await due(database, now=now))


async def test_an_urgent_touch_is_due_at_once(database: Database) -> None:
    await touch(database, urgent=True)

    assert await due(database) == [
        Touch(customer_id="cus_1", urgent=True, attempts=0, touch_time=NOW)
    ]


async def test_a_plain_touch_waits_for_others_of_its_customer(database: Database) -> None:
    await touch(database)

    assert not await is_due(database, NOW + COALESCE - SECOND / 10)
    assert await is_due(database, NOW + COALESCE)


async def test_many_touches_of_a_customer_are_one(database: Database) -> None:
    for ticket in range(1, 13):
        await touch(database, ticket=ticket, now=NOW + ticket * SECOND / 100)

    (one,) = await due(database, now=NOW + 5 * SECOND)

    assert one.touch_time == NOW + SECOND / 100


async def test_touches_that_keep_coming_do_not_put_the_verify_off(database: Database) -> None:
    for tenth in range(10):
        await touch(database, ticket=tenth, now=NOW + tenth * SECOND / 10)

    assert await is_due(database, NOW + COALESCE)


async def test_an_urgent_touch_hurries_a_plain_one(database: Database) -> None:
    await touch(database, ticket=1)
    await touch(database, ticket=2, urgent=True)

    assert [each.urgent for each in await due(database)] == [True]


async def test_a_plain_touch_leaves_an_urgent_one_urgent(database: Database) -> None:
    await touch(database, ticket=1, urgent=True)
    await touch(database, ticket=2)

    assert [each.urgent for each in await due(database)] == [True]


async def test_a_read_clears_the_touches_that_came_before_it(database: Database) -> None:
    await touch(database, ticket=4)
    await touch(database, ticket=5)

    await clear(database, up_to=5)

    assert not await is_due(database, NOW + SECOND)


async def test_a_read_leaves_a_touch_that_came_after_it_began(database: Database) -> None:
    await touch(database, ticket=4)
    await touch(database, ticket=6, urgent=True)

    await clear(database, up_to=5)

    assert [each.urgent for each in await due(database)] == [True]


async def test_clearing_what_was_never_touched_changes_nothing(database: Database) -> None:
    await touch(database, "cus_2", ticket=1, urgent=True)

    await clear(database, up_to=9)

    assert [each.customer_id for each in await due(database)] == ["cus_2"]


async def test_a_verify_that_failed_is_put_off_and_counted(database: Database) -> None:
    await touch(database, urgent=True)

    await postpone(database, until=NOW + 9 * SECOND)
    await postpone(database, until=NOW + 30 * SECOND)

    assert not await is_due(database, NOW + 29 * SECOND)
    (put_off,) = await due(database, now=NOW + 30 * SECOND)
    assert (put_off.attempts, put_off.urgent) == (2, True)


async def test_a_new_touch_does_not_hurry_one_that_keeps_failing(database: Database) -> None:
    await touch(database, ticket=1)
    await postpone(database, until=NOW + 60 * SECOND)

    await touch(database, ticket=2, urgent=True, now=NOW + SECOND)

    assert not await is_due(database, NOW + 59 * SECOND)
    assert await is_due(database, NOW + 60 * SECOND)


async def test_urgent_ones_go_first_then_the_longest_waiting(database: Database) -> None:
    await touch(database, "cus_late", ticket=1, now=NOW + 3 * SECOND)
    await touch(database, "cus_early", ticket=2, now=NOW + SECOND)
    await touch(database, "cus_urgent", ticket=3, urgent=True, now=NOW + 4 * SECOND)
    await touch(database, "cus_first", ticket=4, urgent=True, now=NOW + 2 * SECOND)

    async def order(limit: int) -> list[str]:
        return [each.customer_id for each in await due(database, now=NOW + 9 * SECOND, limit=limit)]

    assert await order(10) == ["cus_first", "cus_urgent", "cus_early", "cus_late"]
    assert await order(2) == ["cus_first", "cus_urgent"]


async def test_the_backlog_tells_how_many_wait_and_since_when(database: Database) -> None:
    async def backlog() -> Backlog:
        async with database.read() as connection:
            return await touches.backlog(connection)

    assert await backlog() == Backlog(customers=0, oldest=None)

    await touch(database, "cus_1", ticket=1, now=NOW + SECOND)
    await touch(database, "cus_2", ticket=2, now=NOW)
    await touch(database, "cus_2", ticket=3, now=NOW + 2 * SECOND)

    assert await backlog() == Backlog(customers=2, oldest=NOW)
