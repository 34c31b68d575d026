"""Transactions that touch the same things at once wait for each other in one order: no circles.

A circle is broken by PostgreSQL after a second and repeated by us; these must not need it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import catalog, customers, deployment, ends, head, touches
from subscription_state.database import Database
from subscription_state.ingest import Delivery, ingest
from subscription_state.model import Status
from subscription_state.touches import Changed
from subscription_state.verification import save_read
from tests.builders import (
    DAY,
    NOW,
    a_customer_read,
    a_delivery,
    a_product,
    a_stripe_event,
    a_stripe_subscription,
    a_subscription,
)

T = TypeVar("T")
ROUNDS = 6


class Counting(Database):
    """Counts how often transactions were begun."""

    attempts = 0

    async def write(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        async def counted(connection: AsyncConnection) -> T:
            self.attempts += 1
            return await work(connection)

        return await super().write(counted)


@pytest.fixture
async def counting(database: Database) -> Counting:
    counting = Counting(database._engine)
    await counting.write(lambda connection: deployment.bind(connection, livemode=False))
    for number in range(4):
        await counting.write(partial(_save_trial, number=number))
    counting.attempts = 0
    return counting


async def _save_trial(connection: AsyncConnection, number: int) -> None:
    """Save a trial that has ended since."""
    customer_id = f"cus_{number}"
    trial = a_subscription(
        subscription_id=f"sub_{number}",
        customer_id=customer_id,
        status=Status.TRIALING,
        trial_end=NOW - DAY,
    )
    read = a_customer_read(trial, customer_id=customer_id, account_id=f"acct_{number}")
    await save_read(connection, read, now=NOW - 9 * DAY)


def events(first: int) -> list[Delivery]:
    """Make a batch about every customer and a product, in another order for every `first`."""
    contents = [
        a_stripe_event(
            held=a_stripe_subscription(id=f"sub_{n}", customer=f"cus_{n}"), id=f"evt_{n}"
        )
        for n in range(4)
    ]
    contents.append(a_stripe_event("product.updated", {"id": "prod_1"}, id="evt_p"))
    return [a_delivery(each) for each in contents[first:] + contents[:first]]


async def test_the_clock_waits_for_a_verify_before_it_draws(counting: Counting) -> None:
    touching: asyncio.Task[int] | None = None

    async def verify(connection: AsyncConnection) -> None:
        nonlocal touching
        await customers.lock(connection, ["cus_3"])
        await touches.clear(connection, "cus_3", up_to=1_000_000)
        touch_ended = counting.write(lambda other: ends.touch_ended(other, NOW))
        touching = touching or asyncio.create_task(touch_ended)
        await asyncio.sleep(0.1)
        await head.draw(connection)

    # Plainly: who waits urgently is not touched by the clock again.
    plain = [Changed(customer_id=f"cus_{n}", ticket=1, urgent=False, time=NOW) for n in range(4)]
    await counting.write(lambda connection: touches.touch_all(connection, plain))
    await counting.write(verify)

    assert touching is not None
    assert await touching == 4
    assert counting.attempts == 3


async def test_nobody_waits_in_a_circle(counting: Counting) -> None:
    async def verify(number: int) -> None:
        ticket = await counting.write(head.draw)
        read = a_customer_read(ticket=ticket, customer_id=f"cus_{number}")
        await counting.write(lambda connection: save_read(connection, read, now=NOW))

    async def read_catalog(number: int) -> None:
        ticket = await counting.write(head.draw)
        products = [a_product("prod_team", f"feature_{number}")]
        await counting.write(
            lambda connection: catalog.save(connection, products, ticket=ticket, now=NOW)
        )

    async def everything(number: int) -> None:
        await asyncio.gather(
            ingest(counting, events(number % 5)),
            verify(number % 4),
            read_catalog(number),
            counting.write(lambda connection: ends.touch_ended(connection, NOW)),
        )

    await asyncio.gather(*(everything(number) for number in range(ROUNDS)))

    # Six transactions a round, and not one of them twice.
    assert counting.attempts == 6 * ROUNDS
