"""ADR 4: nothing is used that only one server can do cheaply."""

import re
from pathlib import Path

import pytest
from sqlalchemy import BigInteger, Table

from subscription_state.columns import UtcTime
from subscription_state.tables import metadata
from tests.postgres import Postgres

ROOT = Path(__file__).parents[2]
RECORD = (ROOT / "docs/adr/0004-fit-for-distributed-postgresql.md").read_text()

ABSENT = {
    "sequences": "SELECT sequencename FROM pg_sequences",
    "triggers": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal",
    "functions": "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    "foreign keys": "SELECT conname FROM pg_constraint WHERE contype = 'f'",
    "defaults that are drawn": "SELECT column_name FROM information_schema.columns "
    "WHERE table_schema = 'public' AND (column_default LIKE '%(%' OR is_identity = 'YES')",
}


@pytest.mark.parametrize("what", ABSENT)
async def test_a_migrated_database_has_none(
    postgres: Postgres, postgresql_name: str, what: str
) -> None:
    assert await postgres.run(ABSENT[what], database=postgresql_name) == []


@pytest.mark.parametrize(
    ("what", "statement"),
    [
        ("sequences", "CREATE TABLE tried (id serial)"),
        ("defaults that are drawn", "CREATE TABLE tried (id int GENERATED ALWAYS AS IDENTITY)"),
        ("foreign keys", "CREATE TABLE tried (a text REFERENCES account)"),
        ("functions", "CREATE FUNCTION tried() RETURNS int LANGUAGE sql AS 'SELECT 1'"),
    ],
)
async def test_one_would_be_seen(postgres: Postgres, what: str, statement: str) -> None:
    name = await postgres.create()
    await postgres.run("CREATE TABLE account (account_id text PRIMARY KEY)", database=name)

    await postgres.run(statement, database=name)

    assert await postgres.run(ABSENT[what], database=name) != []
    await postgres.drop(name)


def _growing(table: Table) -> set[str]:
    """Name the leading columns of keys and indexes that hold counters or times."""
    keys = [table.primary_key.columns, *(index.columns for index in table.indexes)]
    leading = [next(iter(key)) for key in keys]
    return {
        f"{table.name}.{column.name}"
        for column in leading
        if isinstance(column.type, BigInteger | UtcTime)
    }


def test_every_key_that_begins_with_what_grows_is_accounted_for() -> None:
    listed = RECORD.partition("begin with what grows:")[2].partition("\n\n`tests")[0]
    accounted = set(re.findall(r"`(\w+\.\w+)`", listed))

    growing = set().union(*map(_growing, metadata.tables.values()))

    assert growing == accounted


SOURCES = [
    path
    for package in ("subscription_state", "billing_service", "webhook_gateway")
    for path in (ROOT / package).rglob("*.py")
    if "migrations" not in path.parts
]


def _that_say(pattern: str) -> set[str]:
    return {path.name for path in SOURCES if re.search(pattern, path.read_text())}


def test_only_the_database_begins_transactions() -> None:
    """Whatever else did would not be repeated when it conflicts."""
    assert _that_say(r"create_async_engine|_engine\b") == {
        "database.py",
        "postgresql.py",
        "wakeups.py",
    }


def test_nothing_is_left_in_a_session_or_locked_outside_of_rows() -> None:
    assert (
        _that_say(r"pg_advisory|pg_try_advisory|nextval|SET SESSION|TEMP TABLE|LOCK TABLE") == set()
    )
    assert _that_say(r"add_listener|\bLISTEN \w") == {"wakeups.py"}
