"""What is asked all the time reads an index and no more rows than it gives: no table as a whole."""

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.event import listen, remove
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import audit, customers, events, touches, upcoming
from subscription_state.audit import AuditFilter, AuditPlace
from subscription_state.database import Database
from subscription_state.events import EventFilter, EventState, Place
from tests.builders import NOW

Ask = Callable[[AsyncConnection], Awaitable[Any]]

PLACE = Place(receive_time=NOW, event_id="evt_1")

QUESTIONS: dict[str, Ask] = {
    "who is due": lambda connection: touches.due(connection, now=NOW, limit=4),
    "who was not verified for longest": lambda connection: customers.longest_unverified(
        connection, before=NOW, limit=100
    ),
    "which events are tried again": lambda connection: events.due(connection, now=NOW, limit=20),
    "how many events failed": events.count_failed,
    "which events failed": lambda connection: events.newest(
        connection, EventFilter(state=EventState.FAILED), limit=50
    ),
    "which events are newest": lambda connection: events.newest(
        connection, EventFilter(), limit=50, after=PLACE
    ),
    "whose entitlements the clock changes soon": lambda connection: upcoming.accounts_between(
        connection,
        NOW,
        NOW + timedelta(minutes=1),
        graces=[timedelta(0), timedelta(days=3)],
    ),
    "what was changed last": lambda connection: audit.newest(
        connection, AuditFilter(), limit=50, after=AuditPlace(create_time=NOW, entry_id="x")
    ),
    "what was changed of an account": lambda connection: audit.newest(
        connection, AuditFilter(account_id="acct_1"), limit=50
    ),
    "what a caller changed": lambda connection: audit.newest(
        connection, AuditFilter(caller="acct_1"), limit=50
    ),
    "which events an account has": lambda connection: events.newest(
        connection, EventFilter(account_id="acct_1"), limit=50
    ),
}

#: So many of each that PostgreSQL would not rather read them all.
FILL = {
    "customer": (
        "INSERT INTO customer (customer_id, account_id, deleted, saved_ticket, read_ticket,"
        " verified_at) VALUES (:key, :account, false, 0, 0, :time)"
    ),
    "touched": (
        "INSERT INTO touched (customer_id, ticket, urgent, touch_time, attempts, next_attempt)"
        " VALUES (:key, 1, false, :time, 0, :time)"
    ),
    "event": (
        "INSERT INTO event (event_id, type, customer_id, create_time, receive_time, deliveries,"
        " state, attempts) VALUES (:key, 'invoice.paid', :key, :time, :time, 1, 'applied', 0)"
    ),
    "subscription": (
        "INSERT INTO subscription (subscription_id, customer_id, status, items, create_time,"
        " trial_end, cancel_time, unpaid_since, first_payment) VALUES (:key, :key, 'past_due',"
        " '[]', :time, :time, :time, :time, 'confirmed')"
    ),
    "audit_entry": (
        "INSERT INTO audit_entry (entry_id, create_time, caller, method, account_id, request_id,"
        " facts) VALUES (:key, :time, :account, 'CreateGrant', :account, '', '{}')"
    ),
    "grant": (
        'INSERT INTO "grant" (grant_id, account_id, feature, expire_time, note, creator,'
        " create_time) VALUES (:key, :account, 'feature', :time, '', '', :time)"
    ),
}
ROWS = 5000


async def fill(database: Database) -> None:
    def row(number: int) -> dict[str, Any]:
        time: Any = NOW + timedelta(seconds=number)
        if database.dialect == "sqlite":
            time = time.replace(tzinfo=None).isoformat(" ", "microseconds")
        return {"key": f"x_{number:05}", "account": f"acct_{number}", "time": time}

    async def work(connection: AsyncConnection) -> None:
        for statement in FILL.values():
            await connection.execute(text(statement), [row(number) for number in range(ROWS)])
        await connection.execute(text("ANALYZE"))

    await database.write(work)


async def asked(database: Database, ask: Ask) -> list[tuple[str, Any]]:
    """Give the statements by which something is asked, with their parameters."""
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_rest: Any) -> None:
        if statement.startswith("SELECT"):
            statements.append((statement, values))

    engine = database._engine.sync_engine
    listen(engine, "before_cursor_execute", note)
    async with database.read() as connection:
        await ask(connection)
    remove(engine, "before_cursor_execute", note)
    return statements


async def plan(database: Database, statement: str, values: Any) -> str:
    explain = "EXPLAIN QUERY PLAN " if database.dialect == "sqlite" else "EXPLAIN "
    async with database.read() as connection:
        found = await connection.exec_driver_sql(explain + statement, values)
        return "\n".join(str(row[-1]) for row in found)


def read_whole(found: str) -> set[str]:
    """Name the tables of which a plan goes through all rows."""
    # An index of the failed events alone may be gone through as a whole.
    whole = r"^SCAN (?!event USING INDEX ix_event_failed$)(\w+)|Seq Scan on (\w+)"
    return {"".join(names) for names in re.findall(whole, found, re.MULTILINE)}


@pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS)
async def test_it_reads_no_table_as_a_whole(database: Database, ask: Ask) -> None:
    await fill(database)

    statements = await asked(database, ask)

    assert statements
    for statement, values in statements:
        found = await plan(database, statement, values)
        assert read_whole(found) == set(), found


async def test_a_table_that_is_read_as_a_whole_would_be_seen(database: Database) -> None:
    await fill(database)

    found = await plan(database, "SELECT * FROM event WHERE error = 'x'", ())

    assert read_whole(found) == {"event"}
