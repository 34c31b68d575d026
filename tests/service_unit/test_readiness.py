import asyncio

import grpc
import pytest
from grpc_health.v1 import health, health_pb2

from billing_service import cli, server
from billing_service import readiness as readiness_module
from billing_service.listening import PortTaken
from billing_service.listening import bind as bind_grpc
from billing_service.operations_http import operations_app, served
from billing_service.readiness import Readiness, bind
from demo.processes import Process
from demo.stack import API_KEY, PUBLISHABLE_KEY
from subscription_state import deployment
from subscription_state.database import Database
from subscription_state.errors import WrongDeployment
from tests.service_unit.conftest import settings_for
from tests.service_unit.scripted_stripe import Answer, listed, refused
from tests.service_unit.watched import Watched

pytestmark = pytest.mark.asyncio(loop_scope="session")

ACCOUNT = "/v1/account"
OURS = Answer({"id": "acct_ours", "object": "account"})


async def _bound(database):
    async with database.read() as connection:
        return await deployment.get(connection)


@pytest.fixture
def watched(database):
    return Watched(database)


@pytest.fixture
def readiness(watched, stripe, monkeypatch):
    monkeypatch.setattr(readiness_module, "CHECK_EVERY", 0.01)
    monkeypatch.setattr(readiness_module, "BIND_EVERY", 0.01)
    return Readiness(watched, stripe, health.aio.HealthServicer())


async def test_the_database_is_bound_to_the_keys_account(database, stripe, script):
    script.on("GET", ACCOUNT, OURS)

    assert await bind(database, stripe, livemode=False)

    assert (await _bound(database)).stripe_account_id == "acct_ours"


@pytest.mark.parametrize("status", [401, 403])
async def test_a_key_that_may_not_tell_its_account_binds_the_mode(database, stripe, script, status):
    script.on("GET", ACCOUNT, refused(status))

    assert await bind(database, stripe, livemode=False)

    bound = await _bound(database)
    assert (bound.livemode, bound.stripe_account_id) == (False, None)


async def test_stripe_away_binds_the_mode_and_says_that_more_is_to_do(database, stripe, script):
    script.on("GET", ACCOUNT, Answer("", status=503))

    assert not await bind(database, stripe, livemode=False)

    assert (await _bound(database)).stripe_account_id is None


async def test_another_mode_is_refused_without_asking_stripe(database, stripe, script):
    script.on("GET", ACCOUNT, OURS)
    await bind(database, stripe, livemode=False)
    script.calls.clear()

    with pytest.raises(WrongDeployment):
        await bind(database, stripe, livemode=True)

    assert script.calls == []


async def test_it_is_ready_while_stripe_is_away_and_asks_again(
    readiness, watched, database, script
):
    script.on("GET", ACCOUNT, Answer("", status=503), Answer("", status=503), OURS)
    following = asyncio.create_task(readiness.follow(livemode=False))
    async with asyncio.timeout(5):
        while readiness.problem is not None:
            await asyncio.sleep(0.001)
        bound_when_ready = readiness.bound.is_set()
        await readiness.bound.wait()
    await watched.end(following)

    assert not bound_when_ready
    assert (await _bound(database)).stripe_account_id == "acct_ours"
    assert script.paths().count(ACCOUNT) == 3


async def test_another_account_is_found_out_once_stripe_is_back(readiness, database, script):
    await database.write(
        lambda connection: deployment.bind(
            connection, livemode=False, stripe_account_id="acct_another"
        )
    )
    script.on("GET", ACCOUNT, Answer("", status=503), OURS)

    async with asyncio.timeout(5):
        with pytest.raises(WrongDeployment):
            await readiness.follow(livemode=False)

    assert not readiness.bound.is_set()


async def test_it_is_not_ready_before_the_database_is_migrated(stripe, tmp_path):
    empty = Database.at(f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}")
    readiness = Readiness(empty, stripe, health.aio.HealthServicer())

    await readiness._tell(await readiness._look(livemode=False))
    await empty.close()

    assert "schema" in readiness.problem


async def test_draining_is_for_good(database, stripe, script):
    script.on("GET", ACCOUNT, OURS)
    servicer = health.aio.HealthServicer()
    readiness = Readiness(database, stripe, servicer)
    await readiness._tell(await readiness._look(livemode=False))

    await readiness.drain()
    await readiness._tell(None)

    answer = await servicer.Check(health_pb2.HealthCheckRequest(service=""), None)
    assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING


def _environment(database_url: str, api_base: str) -> dict[str, str]:
    return {
        "PAIDUP_DATABASE_URL": database_url,
        "PAIDUP_GRPC_LISTEN": "127.0.0.1:0",
        "PAIDUP_METRICS_LISTEN": "127.0.0.1:0",
        "PAIDUP_STRIPE_API_KEY": API_KEY,
        "PAIDUP_STRIPE_PUBLISHABLE_KEY": PUBLISHABLE_KEY,
        "PAIDUP_STRIPE_API_BASE": api_base,
    }


SERVE = ["billing_service", "serve"]


async def test_a_process_of_another_deployment_ends_before_it_touches_anything(
    database, database_url, script
):
    await database.write(
        lambda connection: deployment.bind(
            connection, livemode=False, stripe_account_id="acct_another"
        )
    )
    go_on = asyncio.Event()
    script.on("GET", ACCOUNT, Answer(OURS.body, held=go_on))
    script.on("GET", "/v1/products", listed({"id": "prod_foreign", "name": "Foreign"}))
    process = await Process.start("service", SERVE, _environment(database_url, script.url))
    await script.came.wait()
    # Long enough for several rounds of the background, if it had begun.
    await asyncio.sleep(0.5)
    go_on.set()
    code = await asyncio.wait_for(process.process.wait(), 20)
    await process.stop()

    assert code == 1
    assert process.lines[-1] == "The database belongs to Stripe account acct_another."
    assert not [line for line in process.lines if "Traceback" in line]
    assert set(script.paths()) == {ACCOUNT}


async def test_a_process_ends_in_order_on_sigterm(database_url, script):
    script.on("GET", ACCOUNT, OURS)
    script.on("GET", "/v1/products", Answer(held=asyncio.Event()))
    process = await Process.start("service", SERVE, _environment(database_url, script.url))
    async with asyncio.timeout(10):
        while "/v1/products" not in script.paths():
            await asyncio.sleep(0.01)

    code = await process.stop()

    assert code == 0
    assert not [line for line in process.lines if "Traceback" in line or "never" in line]


async def test_a_process_that_is_ended_while_it_starts_ends_in_order(database_url, script):
    script.on("GET", ACCOUNT, Answer(held=asyncio.Event()))
    process = await Process.start("service", SERVE, _environment(database_url, script.url))

    code = await process.stop()

    assert code == 0
    assert not [line for line in process.lines if "Traceback" in line]


async def test_a_port_in_use_is_named(database_url, script):
    taken = script.url.removeprefix("http://")
    settings = settings_for(script.url, database_url).model_copy(update={"metrics_listen": taken})

    with pytest.raises(PortTaken, match=f"{taken}.*PAIDUP_METRICS_LISTEN"):
        async with served(operations_app(None), settings.metrics_listen):
            pytest.fail("two servers at one port")
    with pytest.raises(PortTaken, match=f"{taken}.*PAIDUP_GRPC_LISTEN"):
        bind_grpc(grpc.aio.server(options=server.OPTIONS), taken, "PAIDUP_GRPC_LISTEN", None)

    assert PortTaken in cli.EXPECTED, "it would show a traceback"
