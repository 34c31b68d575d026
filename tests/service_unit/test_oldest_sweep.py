from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from prometheus_client import REGISTRY

from billing_service.oldest_sweep import OldestSweep
from billing_service.stripe_errors import StripeRefused
from billing_service.verifier import Verifier
from subscription_state import customers, head, touches
from tests.builders import a_stripe_invoice, a_stripe_subscription
from tests.service_unit.scripted_stripe import Answer, listed, refused

pytestmark = pytest.mark.asyncio(loop_scope="session")

SUBSCRIPTIONS = "/v1/subscriptions"
NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


def _runs(outcome: str) -> float:
    labels = {"sweep": "oldest", "outcome": outcome}
    return REGISTRY.get_sample_value("paidup_sweep_runs_total", labels) or 0.0


@pytest.fixture
def sweep(database, stripe):
    return OldestSweep(database, Verifier(database, stripe))


@pytest_asyncio.fixture(loop_scope="session")
async def known(database, script):
    """Customers that were verified so many hours ago; None for never."""

    async def known_(**hours: float | None) -> None:
        async def work(connection):
            await customers.lock(connection, hours)
            for customer_id, age in hours.items():
                ticket = await head.draw(connection)
                if age is not None:
                    await customers.note_read(connection, customer_id, ticket, NOW - age * HOUR)

        await database.write(work)
        for name in hours:
            script.on("GET", f"/v1/customers/{name}", Answer({"id": name}))

    return known_


async def _waiting(database) -> set[str]:
    async with database.read() as connection:
        far = datetime.now(UTC) + HOUR
        return {each.customer_id for each in await touches.due(connection, now=far, limit=100)}


def _asked(script) -> list[str]:
    return [call.params["customer"] for call in script.calls if call.path == SUBSCRIPTIONS]


async def test_the_longest_unverified_are_compared_first_and_recent_ones_not(script, sweep, known):
    script.on("GET", SUBSCRIPTIONS, listed())
    await known(cus_recent=0.5, cus_old=5, cus_older=50, cus_never=None)
    nothing = _runs("nothing")

    for _ in range(4):
        await sweep.run()

    assert _asked(script) == ["cus_never", "cus_older", "cus_old"]
    assert _runs("nothing") == nothing + 1


async def test_touched_and_deleted_customers_are_left_to_others(database, script, sweep, known):
    await known(cus_touched=5, cus_deleted=5)

    async def work(connection):
        await customers.mark_deleted(connection, "cus_deleted")
        ticket = await head.draw(connection)
        await touches.touch(connection, "cus_touched", ticket=ticket, urgent=False, now=NOW)

    await database.write(work)

    await sweep.run()

    assert script.calls == []


async def test_drift_is_mended_and_told(database, script, sweep, known, caplog):
    await known(cus_1=5)
    paid = a_stripe_subscription(latest_invoice=a_stripe_invoice())
    script.on("GET", SUBSCRIPTIONS, listed(paid))
    before = _runs("drift")

    await sweep.run()

    assert _runs("drift") == before + 1
    told = [each for each in caplog.records if each.message == "oldest_swept"]
    assert [(each.customer_id, each.drift) for each in told] == [("cus_1", 1)]


async def test_one_that_cannot_be_compared_goes_to_the_backlog_and_holds_up_no_other(
    database, script, sweep, known
):
    await known(cus_1=5, cus_2=4)
    script.on("GET", SUBSCRIPTIONS, refused(400), listed())
    failed = _runs("failed")

    with pytest.raises(StripeRefused):
        await sweep.run()
    await sweep.run()

    assert _asked(script) == ["cus_1", "cus_2"]
    assert await _waiting(database) == {"cus_1"}
    assert _runs("failed") == failed + 1


async def test_it_takes_its_time(database, stripe, script, known):
    clock = [NOW]
    sweep = OldestSweep(database, Verifier(database, stripe), now=lambda: clock[0])
    script.on("GET", SUBSCRIPTIONS, listed())
    await known(cus_1=5, cus_2=4)

    for _ in range(5):
        await sweep.run_if_due()
    assert _asked(script) == ["cus_1"]
    clock[0] += timedelta(seconds=5)
    await sweep.run_if_due()

    assert _asked(script) == ["cus_1", "cus_2"]
