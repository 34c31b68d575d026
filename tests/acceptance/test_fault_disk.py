"""The disk is full, or nothing may be written: nothing is acknowledged, and then it goes on."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.stack import Stack
from tests.acceptance.faults import (
    SETTINGS,
    CannotMount,
    System,
    check,
    running,
    small_disk,
    until,
)
from tests.postgres import Postgres

pytestmark = pytest.mark.timeout(300)

#: Of the file that fills the disk.
CHUNK = 64 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with contextlib.ExitStack() as mounted:
        try:
            yield mounted.enter_context(small_disk(tmp_path / "disk", mebibytes=8))
        except CannotMount:
            pytest.skip("Nothing can be mounted here: a full disk is not tried.")


def _fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (CHUNK, 1):
            # The last bytes too.
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"\0" * size)
    return filler


async def test_while_the_disk_is_full_nothing_is_acknowledged_and_checks_go_on(disk: Path) -> None:
    stack = Stack(database_url=f"sqlite+aiosqlite:///{disk / 'paidup.db'}", settings=SETTINGS)
    async with running(stack) as system:
        await system.shop.subscribe()
        await system.shop.until("ACTIVE")

        filler = _fill(disk)
        # What SQLite's log has room for is written yet.
        await system.until_answered(503)
        while_full = [await system.deliver() for _ in range(5)]
        answer = await check(system, "api_access")
        free = await system.of_service("paidup_database_disk_free_ratio")
        refused = await system.of_gateway("paidup_webhook_refused_total", reason="not_stored")
        filler.unlink()

        await _goes_on(system)
    assert while_full == [503] * 5
    assert answer.entitled
    assert free < 0.1
    assert refused >= 6


async def test_a_database_that_may_only_be_read_acknowledges_nothing(postgres: Postgres) -> None:
    """As after a failover, when the connections lead to a standby."""
    name = await postgres.create()
    async with running(Stack(database_url=postgres.url(name), settings=SETTINGS)) as system:
        await system.shop.subscribe()
        await system.shop.until("ACTIVE")

        await _only_read(postgres, name, "on")
        await system.until_answered(503)
        while_read_only = [await system.deliver() for _ in range(5)]
        answer = await check(system, "api_access")
        refused = await system.of_gateway("paidup_webhook_refused_total", reason="not_stored")
        faults = [line for line in system.stack.log if "webhook_event_not_stored" in line]
        await _only_read(postgres, name, "off")

        await _goes_on(system)
    assert while_read_only == [503] * 5
    assert answer.entitled
    assert refused >= 6
    # The database is at fault, and none of the events.
    assert faults == []


async def _only_read(postgres: Postgres, name: str, value: str) -> None:
    await postgres.run(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {value}')
    # A setting of the database's is taken by new sessions only.
    await postgres.run(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    )


async def _goes_on(system: System) -> None:
    """See that all is taken and decided again, without anybody's help."""
    await system.until_answered(200)
    await system.until_ready()

    async def granted() -> bool:
        granted = await system.administration.grant(system.shop.account, "reports")
        return bool(granted.revision)

    await until(granted)
    assert (await system.shop.check("reports", fully_consistent=True)).entitled
