import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from subscription_state.database import Database
from tests.gateway.clients import SECRET, Stripe
from tests.gateway.databases import Postgresql, SharedDatabase, Sqlite, prepare
from tests.gateway.serving import serving
from tests.postgres import Postgres
from webhook_gateway.gateway import Gateway, assemble

TEMPLATE = "gateway_template"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    asyncio.run(prepare(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgresql_template(postgres: Postgres) -> str:
    asyncio.run(postgres.run(f"CREATE DATABASE {TEMPLATE}"))
    asyncio.run(prepare(postgres.url(TEMPLATE)))
    return TEMPLATE


@pytest.fixture
def sqlite(sqlite_template: Path, tmp_path: Path) -> Sqlite:
    shutil.copy(sqlite_template, tmp_path / "paidup.db")
    return Sqlite(tmp_path / "paidup.db")


@pytest.fixture
async def postgresql(postgres: Postgres, postgresql_template: str) -> AsyncIterator[Postgresql]:
    name = await postgres.create(template=postgresql_template)
    yield Postgresql(postgres, name)
    await postgres.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> SharedDatabase:
    """Give a database that is migrated and bound; each test that asks is run on both kinds."""
    return request.getfixturevalue(request.param)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    # Many deliveries at once need as many connections.
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as opened:
        yield opened


@pytest.fixture
async def state(database: SharedDatabase) -> AsyncIterator[Database]:
    opened = Database.at(database.url)
    yield opened
    await opened.close()


@pytest.fixture
def gateway(state: Database) -> Gateway:
    """Give the gateway's parts, in this process; `stripe` serves them over HTTP."""
    return assemble(state, SECRET, read_timeout=0.5)


@pytest.fixture
async def stripe(gateway: Gateway, session: aiohttp.ClientSession) -> AsyncIterator[Stripe]:
    async with serving(gateway, session) as connected:
        yield connected
