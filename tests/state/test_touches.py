"""Touched customers: none is forgotten, one read serves many touches."""

from datetime import datetime

from subscription_state import ends, touches
from subscription_state.database import Database
from subscription_state.model import Status
from subscription_state.tables import touched
from subscription_state.touches import COALESCE, Backlog, Changed, Parked, Touch, Waiting
from tests.builders import DAY, NOW, SECOND, a_subscription
from tests.state import steps


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


async def clear(database: Database, *, up_to: int) -> tuple[str, ...]:
    return await database.write(lambda connection: touches.clear(connection, "cus_1", up_to=up_to))


async def postpone(database: Database, *, until: datetime, attempts: int = 1) -> None:
    await database.write(
        lambda connection: touches.postpone(
            connection, "cus_1", attempts=attempts, error="KeyError", until=until
        )
    )


async def park(database: Database, *, up_to: int = 1) -> bool:
    return await database.write(
        lambda connection: touches.park(
            connection, "cus_1", up_to=up_to, attempts=10, error="KeyError"
        )
    )


async def parked(database: Database) -> list[Parked]:
    async with database.read() as connection:
        return await touches.parked(connection, limit=10)


async def backlog(database: Database) -> Backlog:
    async with database.read() as connection:
        return await touches.backlog(connection)


async def due(database: Database, *, now: datetime = NOW, limit: int = 10) -> list[Touch]:
    async with database.read() as connection:
        return await touches.due(connection, now=now, limit=limit)


async def is_due(database: Database, now: datetime) -> bool:
    return bool(await due(database, now=now))


async def test_an_urgent_touch_is_due_at_once(database: Database) -> None:
    await touch(database, urgent=True)

    assert await due(database) == [
        Touch(customer_id="cus_1", ticket=1, urgent=True, attempts=0, touch_time=NOW)
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
    await postpone(database, until=NOW + 30 * SECOND, attempts=2)

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


async def test_all_that_are_urgent_go_before_the_longest_waiting(database: Database) -> None:
    """A pile of plain ones, touched long ago, never holds an urgent one up."""
    pile = [
        Changed(customer_id=f"cus_{n:04}", ticket=n, urgent=False, time=NOW - n * SECOND)
        for n in range(1, 2001)
    ]
    await database.write(lambda connection: touches.touch_all(connection, pile))
    await touch(database, "cus_urgent", ticket=9999, urgent=True)

    found = await due(database, limit=4)

    assert [each.customer_id for each in found] == [
        "cus_urgent",
        "cus_2000",
        "cus_1999",
        "cus_1998",
    ]


async def test_touches_of_one_commit_are_what_they_are_one_by_one(database: Database) -> None:
    changes = [
        Changed(customer_id="cus_1", ticket=1, urgent=False, time=NOW),
        Changed(customer_id="cus_1", ticket=2, urgent=True, time=NOW + SECOND),
        Changed(customer_id="cus_1", ticket=3, urgent=False, time=NOW - SECOND),
    ]
    for each in changes:
        await database.write(lambda connection, each=each: touches.touch_all(connection, [each]))
    one_by_one = await steps.rows(database, touched)
    await clear(database, up_to=9)

    await database.write(lambda connection: touches.touch_all(connection, changes))

    assert await steps.rows(database, touched) == one_by_one


def a_trace(number: int) -> str:
    return f"00-{number:032x}-{number:016x}-01"


def by(*numbers: int | None) -> list[Changed]:
    """Make touches of one customer by these spans; None is one that is not traced."""
    return [
        Changed(
            customer_id="cus_1",
            ticket=ticket,
            urgent=True,
            time=NOW,
            traceparent=a_trace(number) if number is not None else None,
        )
        for ticket, number in enumerate(numbers, start=1)
    ]


async def test_the_spans_that_touched_it_are_told_and_given_when_it_is_cleared(
    database: Database,
) -> None:
    for each in by(None, 7, None, 8):
        await database.write(lambda connection, each=each: touches.touch_all(connection, [each]))

    (touched_,) = await due(database)

    assert touched_.traceparents == (a_trace(7), a_trace(8))
    assert await clear(database, up_to=3) == ()
    assert await clear(database, up_to=4) == (a_trace(7), a_trace(8))
    assert await clear(database, up_to=4) == ()


async def test_without_traces_there_are_no_spans(database: Database) -> None:
    for each in by(None, None):
        await database.write(lambda connection, each=each: touches.touch_all(connection, [each]))

    assert [each.traceparents for each in await due(database)] == [()]
    assert [row.traceparents for row in await steps.rows(database, touched)] == [None]


async def test_of_many_spans_the_first_are_kept_whole(database: Database) -> None:
    many = by(*range(1, 31))
    await database.write(lambda connection: touches.touch_all(connection, many[:10]))
    for each in many[10:20]:
        await database.write(lambda connection, each=each: touches.touch_all(connection, [each]))
    await database.write(lambda connection: touches.touch_all(connection, many[20:]))

    (touched_,) = await due(database)

    assert touched_.traceparents == tuple(map(a_trace, range(1, touches.MOST_TRACES + 1)))


async def test_the_backlog_tells_how_many_wait_and_since_when(database: Database) -> None:
    assert await backlog(database) == Backlog()

    await touch(database, "cus_1", ticket=1, now=NOW + SECOND)
    await touch(database, "cus_2", ticket=2, now=NOW)
    await touch(database, "cus_2", ticket=3, now=NOW + 2 * SECOND)
    await touch(database, "cus_3", ticket=4, urgent=True, now=NOW + 3 * SECOND)

    assert await backlog(database) == Backlog(
        urgent=Waiting(customers=1, oldest=NOW + 3 * SECOND),
        plain=Waiting(customers=2, oldest=NOW),
    )


class TestParked:
    """One that was given up waits for something to happen, and is not forgotten meanwhile."""

    async def test_it_is_never_due_and_waits_apart(self, database: Database) -> None:
        await touch(database, urgent=True)
        await touch(database, "cus_2", ticket=2)

        assert await park(database)

        found = await due(database, now=NOW + 3650 * DAY)
        assert [each.customer_id for each in found] == ["cus_2"]
        assert await backlog(database) == Backlog(
            plain=Waiting(customers=1, oldest=NOW), parked=Waiting(customers=1, oldest=NOW)
        )
        assert await parked(database) == [
            Parked(customer_id="cus_1", attempts=10, error="KeyError", touch_time=NOW)
        ]

    async def test_urgent_and_plain_ones_are_counted_together(self, database: Database) -> None:
        await touch(database, urgent=True, now=NOW + SECOND)
        await touch(database, "cus_2", ticket=2)
        await park(database)
        await database.write(
            lambda connection: touches.park(
                connection, "cus_2", up_to=2, attempts=10, error="KeyError"
            )
        )

        assert (await backlog(database)).parked == Waiting(customers=2, oldest=NOW)

    async def test_touched_again_it_is_tried_as_if_for_the_first_time(
        self, database: Database
    ) -> None:
        await touch(database)
        await park(database)

        await touch(database, ticket=2, now=NOW + DAY)

        assert await parked(database) == []
        assert await due(database, now=NOW + DAY + COALESCE) == [
            Touch(customer_id="cus_1", ticket=2, urgent=False, attempts=0, touch_time=NOW + DAY)
        ]

    async def test_one_that_was_touched_meanwhile_is_not_given_up(self, database: Database) -> None:
        await touch(database, ticket=1)
        await touch(database, ticket=2)

        assert await park(database, up_to=1) is False

        assert await parked(database) == []

    async def test_the_clock_does_not_touch_it_again(self, database: Database) -> None:
        trial = a_subscription(status=Status.TRIALING, trial_end=NOW)
        await steps.verify(database, trial, now=NOW - DAY)
        await database.write(lambda connection: ends.touch_ended(connection, NOW))
        await park(database, up_to=999)

        touching = await database.write(lambda connection: ends.touch_ended(connection, NOW + DAY))

        assert touching == 0
        assert len(await parked(database)) == 1

    async def test_a_read_that_succeeds_ends_it(self, database: Database) -> None:
        await touch(database)
        await park(database)

        await clear(database, up_to=1)

        assert await backlog(database) == Backlog()
