"""A real PgBouncer in transaction mode before the tests' PostgreSQL, where the machine has one."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.postgres import Postgres

#: Where Debian puts it, which is not in everybody's path.
PLACES = f"{os.environ.get('PATH', '')}:/usr/sbin"
#: Fewer sessions than a process has connections: each transaction may get another's.
SESSIONS = 3

CONFIGURATION = """\
[databases]
* = host={host} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {sessions}
server_round_robin = 1
server_login_retry = 1
"""


@dataclass(frozen=True)
class PgBouncer:
    port: int

    def url(self, name: str) -> str:
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/{name}"


@pytest.fixture(scope="session")
def pgbouncer(postgres: Postgres) -> Iterator[PgBouncer]:
    program = shutil.which("pgbouncer", path=PLACES)
    if program is None:
        pytest.skip("This machine has no pgbouncer: no pooler is tested against.")
    with tempfile.TemporaryDirectory(prefix="paidup-") as directory:
        port = _free_port()
        file = Path(directory) / "pgbouncer.ini"
        file.write_text(CONFIGURATION.format(host=postgres.host, port=port, sessions=SESSIONS))
        Path(directory).chmod(0o755)
        # Nobody but the server's own user may use its socket.
        with subprocess.Popen(
            [program, "--quiet", str(file)], user=Path(postgres.host).owner()
        ) as process:
            try:
                _wait_for(process, port)
                yield PgBouncer(port)
            finally:
                process.terminate()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError("pgbouncer did not start.")
