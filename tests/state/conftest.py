"""Databases for the tests of the shared state; each test that asks for one gets its own."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import deployment, head, migrate
from subscription_state.database import Database
from subscription_state.tables import metadata
from tests.postgres import Postgres, postgres

__all__ = ["postgres"]


async def _migrate(url: str) -> None:
    database = Database.at(url)
    await migrate.upgrade(database)
    await database.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    asyncio.run(_migrate(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgresql_name(postgres: Postgres) -> str:
    name = asyncio.run(postgres.create())
    asyncio.run(_migrate(postgres.url(name)))
    return name


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    shutil.copy(sqlite_template, tmp_path / "paidup.db")
    return f"sqlite+aiosqlite:///{tmp_path / 'paidup.db'}"


@pytest.fixture
def postgresql_url(postgres: Postgres, postgresql_name: str) -> str:
    # To empty one is ten times as fast as to make another.
    asyncio.run(_empty(postgres, postgresql_name))
    return postgres.url(postgresql_name)


async def _empty(postgres: Postgres, name: str) -> None:
    connection = await postgres.connect(name)
    await connection.execute(";".join(f'DELETE FROM "{table}"' for table in metadata.tables))
    await connection.execute(
        "INSERT INTO head (head_id, epoch, revision) VALUES ($1, $2, 1)",
        head.HEAD_ID,
        head.new_epoch(),
    )
    await connection.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Give the address of a migrated database; each test that asks is run on both kinds."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database.at(database_url)
    yield opened
    await opened.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the address of a database that was never migrated."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = asyncio.run(server.create())
    yield server.url(name)
    asyncio.run(server.drop(name))


@pytest.fixture
async def empty_database(empty_database_url: str) -> AsyncIterator[Database]:
    opened = Database.at(empty_database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def bound(database: Database) -> Database:
    """Give a database that belongs to our account in test mode."""

    async def bind(connection: AsyncConnection) -> None:
        await deployment.bind(connection, livemode=False, stripe_account_id="acct_ours")

    await database.write(bind)
    return database
