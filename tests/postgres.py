"""One PostgreSQL server for all tests."""

import asyncio
from collections.abc import Iterator

import pytest

from demo.postgres import Postgres, a_postgres

__all__ = ["Postgres", "postgres"]

#: Nothing in here has to survive a power failure.
FAST_AND_FORGETFUL = ("fsync", "full_page_writes", "synchronous_commit")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with a_postgres() as server:
        asyncio.run(_hurry(server))
        yield server


async def _hurry(server: Postgres) -> None:
    for setting in FAST_AND_FORGETFUL:
        await server.run(f"ALTER SYSTEM SET {setting} = off")
    await server.run("SELECT pg_reload_conf()")
