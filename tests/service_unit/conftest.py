"""The service's parts by themselves, on SQLite, with the emulator or a scripted Stripe."""

import asyncio
import itertools
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from billing_service import catalog_commands, stripe_api
from billing_service.settings import ServiceSettings
from billing_service.stripe_api import LiveStripe
from billing_service.webhook_settings import WebhookSettings
from demo.emulator import Emulator
from demo.processes import Process
from demo.stack import API_KEY, CATALOG, PUBLISHABLE_KEY
from subscription_state import migrate
from subscription_state.database import Database
from tests.service_unit.scripted_stripe import ScriptedStripe, scripted_stripe

LISTEN = ["--listen", "127.0.0.1:0"]


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch):
    for name in [name for name in os.environ if name.startswith("PAIDUP_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def template(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"

    async def make() -> None:
        database = Database.at(f"sqlite+aiosqlite:///{path}")
        await migrate.upgrade(database)
        await database.close()

    asyncio.run(make())
    return path


@pytest.fixture
def database_url(template, tmp_path) -> str:
    shutil.copy(template, tmp_path / "paidup.db")
    return f"sqlite+aiosqlite:///{tmp_path / 'paidup.db'}"


@pytest_asyncio.fixture(loop_scope="session")
async def database(database_url) -> AsyncIterator[Database]:
    opened = Database.at(database_url)
    yield opened
    await opened.close()


@pytest_asyncio.fixture(loop_scope="session")
async def script() -> AsyncIterator[ScriptedStripe]:
    async with scripted_stripe() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def stripe(script, monkeypatch) -> AsyncIterator[LiveStripe]:
    """Our side of the scripted Stripe; it does not try again, so that tests need not wait."""
    monkeypatch.setattr(stripe_api, "NETWORK_RETRIES", 0)
    client = LiveStripe(API_KEY, api_base=script.url)
    yield client
    await client.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def emulator() -> AsyncIterator[Emulator]:
    process = await Process.start("stripe_emulator", ["stripe_emulator", *LISTEN], {})
    control = Emulator(process.address)
    yield control
    await control.close()
    await process.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def sold(emulator, tmp_path_factory) -> Emulator:
    """The emulator with the catalogue of the demonstration."""
    nowhere = tmp_path_factory.mktemp("nowhere") / "unmigrated.db"
    settings = settings_for(emulator.url, f"sqlite+aiosqlite:///{nowhere}")
    await catalog_commands.apply(settings, CATALOG, ask=False)
    return emulator


@pytest_asyncio.fixture(loop_scope="session")
async def at_emulator(sold) -> AsyncIterator[LiveStripe]:
    client = LiveStripe(API_KEY, api_base=sold.url)
    yield client
    await client.close()


_numbers = itertools.count(1)


@pytest.fixture
def account() -> str:
    return f"unit-{next(_numbers)}"


def settings_for(api_base: str, database_url: str) -> ServiceSettings:
    return webhook_settings_for(api_base, database_url)


def webhook_settings_for(api_base: str, database_url: str, **more: object) -> WebhookSettings:
    given = {
        "stripe_api_key": API_KEY,
        "stripe_publishable_key": PUBLISHABLE_KEY,
        "stripe_api_base": api_base,
        "database_url": database_url,
    }
    return WebhookSettings(**given | more)
