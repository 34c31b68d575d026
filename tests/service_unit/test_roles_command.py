"""`roles` as a job runs it: the file is applied, or it is told why not."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from demo.processes import run
from subscription_state import migrate
from subscription_state.database import Database
from subscription_state.errors import NotPermitted
from tests.postgres import Postgres

FILE = Path("deploy/postgresql/roles.sql")
MAY_INSERT = "SELECT has_table_privilege('paidup_gateway', 'event', 'INSERT') AS may"


@pytest.fixture
async def name(postgres: Postgres):
    name = await postgres.create()
    yield name
    await postgres.drop(name)


async def _roles(url: str, file: Path) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "billing_service", "roles", str(file)],
        env={**os.environ, "PAIDUP_DATABASE_URL": url, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_each_process_gets_its_rights_and_again_changes_nothing(postgres, name):
    await run(["billing_service", "migrate"], {"PAIDUP_DATABASE_URL": postgres.url(name)})

    first = await _roles(postgres.url(name), FILE)
    second = await _roles(postgres.url(name), FILE)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    (row,) = await postgres.run(MAY_INSERT, database=name)
    assert row["may"]


async def test_until_then_a_process_is_told_what_is_missing_instead_of_a_fault_of_ours(
    postgres, name
):
    await run(["billing_service", "migrate"], {"PAIDUP_DATABASE_URL": postgres.url(name)})
    role = f"test_{name}"
    await postgres.run(f"CREATE ROLE {role} LOGIN")
    database = Database.at(postgres.url(name).replace("postgres@", f"{role}@", 1))

    with pytest.raises(NotPermitted, match=r"roles\.sql"):
        await migrate.check(database)

    await database.close()


async def test_an_owner_who_may_not_create_roles_finds_those_that_are_there(postgres, name):
    await postgres.run(f"CREATE ROLE owner_{name} LOGIN")
    await postgres.run(f'ALTER DATABASE "{name}" OWNER TO owner_{name}')
    for group in ("paidup_gateway", "paidup_service"):
        await postgres.run(
            f"DO $$ BEGIN IF to_regrole('{group}') IS NULL THEN "
            f"CREATE ROLE {group} NOLOGIN; END IF; END $$"
        )
    url = postgres.url(name).replace("postgres@", f"owner_{name}@", 1)
    await run(["billing_service", "migrate"], {"PAIDUP_DATABASE_URL": url})

    done = await _roles(url, FILE)

    assert done.returncode == 0, done.stderr


async def test_before_migrate_the_missing_table_is_told_and_nothing_is_granted(postgres, name):
    done = await _roles(postgres.url(name), FILE)

    assert done.returncode == 1
    assert "does not exist" in done.stderr
    assert "Traceback" not in done.stderr
    (row,) = await postgres.run(
        "SELECT has_schema_privilege('public', 'public', 'USAGE') AS may", database=name
    )
    assert row["may"], "the file is one transaction"


async def test_sqlite_has_no_roles(tmp_path):
    done = await _roles(f"sqlite+aiosqlite:///{tmp_path / 'paidup.db'}", FILE)

    assert done.returncode == 1
    assert "SQLite has no roles" in done.stderr
    assert "Traceback" not in done.stderr
