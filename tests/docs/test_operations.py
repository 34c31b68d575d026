"""What operators are told to do to the database does what it is said to do."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import customers, deployment, head, ingest, migrate, touches
from subscription_state.apply import _RULES
from subscription_state.database import Database
from subscription_state.ingest import Outcome
from tests.builders import (
    Json,
    a_delivery,
    a_stripe_checkout_session,
    a_stripe_customer,
    a_stripe_event,
    a_stripe_invoice,
    a_stripe_subscription,
)
from tests.docs.pages import page
from tests.postgres import Postgres

OPERATIONS = page("docs/operations.md")
TITLES = {"sqlite": "-- SQLite", "postgresql": "-- PostgreSQL"}

HELD = {
    "checkout": a_stripe_checkout_session(),
    "customer": a_stripe_customer(),
    "entitlements": {"object": "entitlements.active_entitlement_summary", "customer": "cus_1"},
    "invoice": a_stripe_invoice(),
    "product": {"id": "prod_team", "object": "product"},
}


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'paidup.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.url(asyncio.run(server.create()))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database.at(database_url)
    await migrate.upgrade(opened)
    yield opened
    await opened.close()


def _statements(dialect: str) -> list[str]:
    blocks = [block for block in OPERATIONS.code("sql") if block.startswith(TITLES[dialect])]
    assert len(blocks) == 1
    return [each.strip() for each in blocks[0].split(";") if each.strip()]


async def test_after_a_restore_old_revisions_are_refused_and_every_customer_is_read(
    database: Database,
) -> None:
    known = ["cus_1", "cus_2"]
    await database.write(lambda connection: customers.lock(connection, known))
    async with database.read() as connection:
        before = await head.current(connection)

    async def restore(connection: AsyncConnection) -> None:
        for statement in _statements(database.dialect):
            await connection.execute(text(statement))

    await database.write(restore)

    soon = datetime.now(UTC) + timedelta(seconds=1)
    async with database.read() as connection:
        after = await head.current(connection)
        due = await touches.due(connection, now=soon, limit=10)
    assert after.epoch != before.epoch
    assert str(after) != str(before)
    assert [each.customer_id for each in due] == known


async def test_a_read_clears_what_the_restore_touched(database: Database) -> None:
    await database.write(lambda connection: customers.lock(connection, ["cus_1"]))

    async def restore_and_read(connection: AsyncConnection) -> None:
        for statement in _statements(database.dialect):
            await connection.execute(text(statement))
        ticket = await head.draw(connection)
        await touches.clear(connection, "cus_1", up_to=ticket)

    await database.write(restore_and_read)

    async with database.read() as connection:
        assert (await touches.backlog(connection)).customers == 0


def _gateways_tables() -> tuple[list[str], list[str]]:
    """Read what the page says that the gateway writes, and what it reads besides."""
    section = page("docs/architecture.md").section("## Processes and secrets")
    found = re.search(r"The gateway writes (.*?),? and\s+reads (.*?); it needs", section, re.DOTALL)
    assert found is not None
    writes, reads = (re.findall(r"`(\w+)`", part) for part in found.groups())
    return writes, reads


def _every_event() -> list[Json]:
    types = ["customer.subscription.updated", *_RULES]
    events = []
    for number, type_ in enumerate(types):
        held = HELD.get(type_.split(".")[0])
        if type_.startswith("customer.subscription."):
            held = a_stripe_subscription()
        events.append(a_stripe_event(type_, held, id=f"evt_{number}"))
    return events


async def test_the_gateways_role_needs_no_more_than_the_page_says(postgres: Postgres) -> None:
    name = await postgres.create()
    owner = Database.at(postgres.url(name))
    await migrate.upgrade(owner)
    await owner.write(lambda connection: deployment.bind(connection, livemode=False))
    await owner.close()
    writes, reads = _gateways_tables()
    role = f"gateway_{name}"
    await postgres.run(f'CREATE ROLE "{role}" LOGIN', database=name)
    grants = [f'GRANT SELECT, INSERT, UPDATE ON "{table}" TO "{role}"' for table in writes]
    grants += [f'GRANT SELECT ON "{table}" TO "{role}"' for table in reads]
    for grant in grants:
        await postgres.run(grant, database=name)

    gateway = Database.at(postgres.url(name).replace("postgres@", f"{role}@", 1))
    try:
        await migrate.check(gateway)
        outcomes = [
            (await ingest.ingest(gateway, [a_delivery(event)]))[0] for event in _every_event()
        ]
        failed = await ingest.store_failed(gateway, a_delivery(), "KeyError")
    finally:
        await gateway.close()

    assert set(outcomes) <= {Outcome.APPLIED, Outcome.SKIPPED}
    assert failed is Outcome.FAILED
