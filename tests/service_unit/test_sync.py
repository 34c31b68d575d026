"""`sync` on the real emulator, and where Stripe misbehaves on a scripted one."""

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from billing_service import stripe_api, sync_command
from billing_service import sync as sync_module
from billing_service.budget import Budget
from billing_service.errors import StripeMisconfigured, StripeUnavailable
from billing_service.leased import LIFETIME, Lease
from billing_service.stripe_api import LiveStripe
from billing_service.sync import AlreadyRunning, Sync
from demo.emulator import Emulator
from demo.processes import Process
from demo.stack import API_KEY, PUBLISHABLE_KEY
from subscription_state import cursors, customers, deployment
from subscription_state.from_stripe import ACCOUNT_ID_KEY
from tests.builders import a_stripe_invoice, a_stripe_subscription
from tests.service_unit.conftest import LISTEN, settings_for
from tests.service_unit.scripted_stripe import Answer, listed, missing, refused

pytestmark = pytest.mark.asyncio(loop_scope="session")

CUSTOMERS = "/v1/customers"
SUBSCRIPTIONS = "/v1/subscriptions"
IDS = [f"cus_{number:02}" for number in range(30)]


class Shown:
    """What a person was shown."""

    def __init__(self) -> None:
        self.done = self.total = 0
        self.failures: list[str] = []

    def begin(self, *, done: int, total: int) -> None:
        self.done, self.total = done, total

    def advance(self, count: int) -> None:
        self.done += count

    def failed(self, customer_id: str, _error: Exception) -> None:
        self.failures.append(customer_id)


@pytest.fixture
def shown():
    return Shown()


@pytest_asyncio.fixture(loop_scope="session")
async def stripe(script, monkeypatch):
    """Our side of the scripted Stripe, with a budget that nobody waits for."""
    monkeypatch.setattr(stripe_api, "NETWORK_RETRIES", 0)
    client = LiveStripe(API_KEY, api_base=script.url, budget=Budget(1000))
    yield client
    await client.close()


@pytest.fixture
def sync(database, stripe, shown):
    return Sync(database, stripe, shown)


@pytest.fixture
def at_stripe(script):
    """Stripe has thirty customers without a subscription."""
    people = [{"id": name, "object": "customer"} for name in IDS]
    script.on("GET", CUSTOMERS, listed(*reversed(people)))
    for person in people:
        script.on("GET", f"{CUSTOMERS}/{person['id']}", Answer(person))
    script.on("GET", SUBSCRIPTIONS, listed())
    return script


def _asked(script) -> list[str]:
    return [call.params["customer"] for call in script.calls if call.path == SUBSCRIPTIONS]


async def _cursor(database) -> str | None:
    async with database.read() as connection:
        return await cursors.get(connection, sync_module.NAME)


async def test_everybody_is_compared_once(at_stripe, database, sync, shown):
    tally = await sync.run()

    assert sorted(_asked(at_stripe)) == IDS
    assert (tally.compared, tally.differed, tally.failed) == (30, 0, 0)
    assert (shown.done, shown.total) == (30, 30)
    assert await _cursor(database) is None


async def test_customers_that_only_we_know_are_compared_too(script, database, sync):
    await database.write(lambda connection: customers.lock(connection, ["cus_ours"]))
    script.on("GET", CUSTOMERS, listed())
    script.on("GET", SUBSCRIPTIONS, missing("customer", status=400))

    tally = await sync.run()

    async with database.read() as connection:
        assert (await customers.get(connection, "cus_ours")).deleted
    assert tally.compared == 1


async def test_an_interrupted_run_goes_on_where_it_was(at_stripe, database, stripe, sync, shown):
    never = Answer(held=asyncio.Event())
    at_stripe.on(
        "GET", SUBSCRIPTIONS, lambda call: never if call.params["customer"] == IDS[20] else listed()
    )
    running = asyncio.create_task(sync.run())
    async with asyncio.timeout(20):
        while shown.done < 16 or IDS[20] not in _asked(at_stripe):
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    at_stripe.calls.clear()
    at_stripe.on("GET", SUBSCRIPTIONS, listed())

    tally = await Sync(database, stripe, shown).run()

    assert sorted(_asked(at_stripe)) == IDS[16:], "what was compared is not compared again"
    assert (tally.compared, shown.done, shown.total) == (30, 30, 30)
    assert await _cursor(database) is None


async def test_two_at_a_time_do_not_do_the_same_work_twice(
    at_stripe, database, stripe, shown, monkeypatch
):
    monkeypatch.setattr(sync_module, "PATIENCE", 0.1)
    monkeypatch.setattr(sync_module, "ASK_EVERY", 0.02)
    never = Answer(held=asyncio.Event())
    at_stripe.on("GET", SUBSCRIPTIONS, never)
    first = asyncio.create_task(Sync(database, stripe, shown).run())
    async with asyncio.timeout(20):
        while not _asked(at_stripe):
            await asyncio.sleep(0.01)
    asked = len(_asked(at_stripe))

    with pytest.raises(AlreadyRunning, match=f"process {os.getpid()} on "):
        await Sync(database, stripe, shown).run()

    assert len(_asked(at_stripe)) <= max(asked, sync_module.AT_ONCE), "the second asked nobody"
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    at_stripe.on("GET", SUBSCRIPTIONS, listed())
    assert (await Sync(database, stripe, shown).run()).compared == 30


async def test_the_lease_of_one_that_was_killed_is_outwaited(
    at_stripe, database, stripe, shown, monkeypatch
):
    assert await Lease(database, sync_module.NAME).acquire()
    past = datetime.now(UTC) + LIFETIME - timedelta(seconds=0.1)
    assert LIFETIME.total_seconds() < sync_module.PATIENCE
    began = datetime.now(UTC)

    later = Sync(database, stripe, shown, now=lambda: past + (datetime.now(UTC) - began))

    assert (await later.run()).compared == 30


async def test_one_that_cannot_be_compared_is_named_and_holds_up_no_other(at_stripe, sync, shown):
    poison = listed({"id": "sub_1", "object": "subscription", "nonsense": True})
    bad = {IDS[3]: poison, IDS[4]: refused(400)}
    at_stripe.on("GET", SUBSCRIPTIONS, lambda call: bad.get(call.params["customer"], listed()))

    tally = await sync.run()

    assert (tally.compared, tally.failed) == (28, 2)
    assert sorted(shown.failures) == IDS[3:5]


async def test_a_failure_before_an_interruption_is_not_forgotten(
    at_stripe, database, stripe, shown, monkeypatch
):
    monkeypatch.setattr(sync_module, "TRIES", 1)
    bad = {IDS[3]: refused(400), IDS[12]: Answer("", status=500)}
    at_stripe.on("GET", SUBSCRIPTIONS, lambda call: bad.get(call.params["customer"], listed()))
    with pytest.raises(StripeUnavailable):
        await Sync(database, stripe, shown).run()
    at_stripe.on("GET", SUBSCRIPTIONS, listed())

    tally = await Sync(database, stripe, shown).run()

    assert (tally.compared, tally.failed) == (29, 1)


async def test_an_outage_that_passes_is_waited_for(at_stripe, sync):
    at_stripe.on("GET", SUBSCRIPTIONS, Answer("", status=503), Answer("", status=503), listed())

    assert (await sync.run()).compared == 30


async def test_a_key_that_is_refused_stops_it_at_once(at_stripe, sync):
    at_stripe.on("GET", SUBSCRIPTIONS, refused(401))

    with pytest.raises(StripeMisconfigured):
        await sync.run()

    assert len(_asked(at_stripe)) <= sync_module.AT_ONCE


async def test_what_differs_is_mended_and_counted(at_stripe, sync):
    paid = a_stripe_subscription(customer=IDS[0], latest_invoice=a_stripe_invoice())
    at_stripe.on(
        "GET",
        SUBSCRIPTIONS,
        lambda call: listed(paid) if call.params["customer"] == IDS[0] else listed(),
    )

    assert (await sync.run()).differed == 1
    assert (await sync.run()).differed == 0


@pytest_asyncio.fixture(loop_scope="session")
async def own_emulator():
    """An emulator of the test's own, with nobody else's customers."""
    process = await Process.start("stripe_emulator", ["stripe_emulator", *LISTEN], {})
    control = Emulator(process.address)
    yield control
    await control.close()
    await process.stop()


async def _people(emulator: Emulator, count: int) -> None:
    """Have customers made at Stripe by somebody else: a dashboard, another tool."""
    client = sync_command.open_stripe(settings_for(emulator.url, "sqlite+aiosqlite:///unused.db"))
    for number in range(count):
        params = {"metadata": {ACCOUNT_ID_KEY: f"behind-{number}"}} if number else {}
        await client.create_customer(params, idempotency_key=f"behind-{number}")
    await client.close()


async def _command(
    emulator: Emulator, database_url: str, **more: str
) -> asyncio.subprocess.Process:
    settings = {
        "PAIDUP_DATABASE_URL": database_url,
        "PAIDUP_STRIPE_API_KEY": API_KEY,
        "PAIDUP_STRIPE_PUBLISHABLE_KEY": PUBLISHABLE_KEY,
        "PAIDUP_STRIPE_API_BASE": emulator.url,
    }
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "billing_service", "sync",
        env=os.environ | settings | more,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def test_customers_made_at_stripe_behind_our_back_become_known(
    own_emulator, database, database_url
):
    await _people(own_emulator, 12)

    running = await _command(own_emulator, database_url)
    out, err = await running.communicate()

    assert running.returncode == 0, err.decode()
    assert "Compared 12 customers" in out.decode()
    assert "11 belong to an account, 1 to none." in out.decode()
    async with database.read() as connection:
        assert await customers.of_account(connection, "behind-7") is not None


async def test_ctrl_c_and_again_compares_everybody(own_emulator, database, database_url):
    await _people(own_emulator, 24)
    await own_emulator.faults({"api": {"delay_seconds": 0.2}})
    running = await _command(own_emulator, database_url)
    async with asyncio.timeout(30):
        while await _cursor(database) is None:
            await asyncio.sleep(0.02)
    running.send_signal(signal.SIGINT)
    out, err = await running.communicate()
    assert running.returncode != 0
    assert b"Run it again" in out
    assert b"Traceback" not in err
    before = await _cursor(database)
    await own_emulator.faults({})

    again = await _command(own_emulator, database_url)
    out, err = await again.communicate()

    assert before is not None
    assert again.returncode == 0, err.decode()
    assert "Compared 24 customers" in out.decode()
    assert "0 of 24" not in out.decode(), "it went on"


async def test_another_accounts_key_compares_nobody(own_emulator, database, database_url):
    await database.write(
        lambda connection: deployment.bind(
            connection, livemode=False, stripe_account_id="acct_other"
        )
    )

    running = await _command(own_emulator, database_url)
    _, err = await running.communicate()

    assert running.returncode == 1
    assert b"Traceback" not in err


async def test_a_second_command_says_who_is_at_it_and_ends_with_a_code_of_its_own(
    own_emulator, database, database_url
):
    lease = Lease(database, sync_module.NAME)
    assert await lease.acquire()

    async with lease.held():
        running = await _command(own_emulator, database_url)
        out, err = await running.communicate()

    assert running.returncode == 3
    assert f"process {os.getpid()} on ".encode() in err
    assert b"Traceback" not in err
    assert b"Run it again" not in out
