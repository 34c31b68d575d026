from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from subscription_state import migrate
from subscription_state.database import Database
from tests.gateway.clients import Stripe, an_event
from tests.gateway.databases import Postgresql, SharedDatabase, Sqlite
from tests.postgres import Postgres
from webhook_gateway import readiness


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(
    request: pytest.FixtureRequest, postgres: Postgres, tmp_path: Path
) -> AsyncIterator[SharedDatabase]:
    if request.param == "sqlite":
        yield Sqlite(tmp_path / "empty.db")
        return
    name = await postgres.create()
    yield Postgresql(postgres, name)
    await postgres.drop(name)


async def test_it_is_not_ready_and_never_says_that_it_stored(
    stripe: Stripe, state: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "REMEMBER", 0)

    answer, before = await stripe.deliver(an_event()), await stripe.request("GET", "/readyz")
    await migrate.upgrade(state)
    after = await stripe.request("GET", "/readyz")

    assert (answer.status, answer.reason) == (503, "not_stored")
    assert before.content["checks"]["database"] == "ok"
    assert "is needed" in before.content["checks"]["migrations"]
    assert after.content["checks"]["migrations"] == "ok"
