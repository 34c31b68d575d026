import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from prometheus_client import REGISTRY

from billing_service.errors import StripeUnavailable
from billing_service.stripe_errors import StripeRefused
from billing_service.verifier import Verifier
from subscription_state import customers, head, subscriptions, touches
from subscription_state.model import Status
from tests.builders import (
    NOW,
    a_stripe_customer,
    a_stripe_invoice,
    a_stripe_item,
    a_stripe_subscription,
    a_subscription,
    seconds,
)
from tests.service_unit.scripted_stripe import Answer, listed, missing, refused

pytestmark = pytest.mark.asyncio(loop_scope="session")

SUBSCRIPTIONS = "/v1/subscriptions"
CUSTOMER = "/v1/customers/cus_1"
GONE = missing("customer", status=400)


@pytest.fixture
def verifier(database, stripe):
    return Verifier(database, stripe)


@pytest_asyncio.fixture(loop_scope="session")
async def held(database):
    """An account's customer with an active subscription, touched, as it was heard of before."""

    async def work(connection):
        await customers.lock(connection, ["cus_1"])
        await customers.link(connection, "cus_1", "acct_1")
        await subscriptions.save(connection, a_subscription(), freshness={})
        ticket = await head.draw(connection)
        await touches.touch(connection, "cus_1", ticket=ticket, urgent=True, now=NOW)

    await database.write(work)


async def _stored(database):
    async with database.read() as connection:
        found = await subscriptions.of_customer(connection, "cus_1")
        customer = await customers.get(connection, "cus_1")
        backlog = await touches.backlog(connection)
    return (
        {each.subscription.subscription_id: each.subscription for each in found},
        customer,
        backlog,
    )


def _paid(**fields):
    return a_stripe_subscription(latest_invoice=a_stripe_invoice(), **fields)


async def test_what_stripe_says_is_saved(database, script, verifier):
    script.on("GET", SUBSCRIPTIONS, listed(_paid()))
    script.on("GET", CUSTOMER, Answer(a_stripe_customer()))

    verified = await verifier.verify("cus_1")

    saved, customer, _ = await _stored(database)
    assert verified.drift == 1
    assert saved["sub_1"].status is Status.ACTIVE
    assert customer.account_id == "acct_1"


@pytest.mark.parametrize("customer", [missing("id"), Answer({"id": "cus_1", "deleted": True})])
async def test_a_customer_that_stripe_does_not_know_is_deleted_with_all_it_had(
    database, script, verifier, held, customer
):
    script.on("GET", SUBSCRIPTIONS, GONE)
    script.on("GET", CUSTOMER, customer)

    await verifier.verify("cus_1")

    saved, stored, backlog = await _stored(database)
    assert stored.deleted
    assert saved["sub_1"].status is Status.CANCELED
    assert backlog == touches.Backlog(), "it would be asked about for ever"


@pytest.mark.parametrize(
    "answers",
    [(refused(param="status"), missing("id")), (GONE, Answer(a_stripe_customer()))],
    ids=["another refusal", "the customer is there"],
)
async def test_any_other_refusal_deletes_nobody(database, script, verifier, held, answers):
    for path, answer in zip((SUBSCRIPTIONS, CUSTOMER), answers, strict=True):
        script.on("GET", path, answer)

    with pytest.raises(StripeRefused):
        await verifier.verify("cus_1")

    saved, stored, _ = await _stored(database)
    assert not stored.deleted
    assert saved["sub_1"].status is Status.ACTIVE


async def test_a_subscription_of_many_items_is_read_whole(database, script, verifier, held):
    first, rest = a_stripe_item(), a_stripe_item(id="si_2", product="prod_second")
    cut = _paid() | {"items": {"object": "list", "data": [first], "has_more": True}}
    script.on("GET", SUBSCRIPTIONS, listed(cut))
    script.on("GET", "/v1/subscription_items", listed(first, rest))

    await verifier.verify("cus_1")

    saved, _, _ = await _stored(database)
    assert saved["sub_1"].product_ids == {"prod_team", "prod_second"}
    assert script.calls[-1].params["subscription"] == "sub_1"


async def test_the_oldest_unpaid_invoice_begins_the_grace(database, script, verifier, held):
    older, newer = NOW - (NOW - datetime(2026, 10, 20, tzinfo=UTC)), NOW
    raw = a_stripe_subscription(
        status="past_due", latest_invoice=a_stripe_invoice(status="open", billing_reason="x")
    )
    script.on("GET", SUBSCRIPTIONS, listed(raw))
    script.on(
        "GET",
        "/v1/invoices",
        listed(*[a_stripe_invoice(created=seconds(each)) for each in (newer, older)]),
    )

    await verifier.verify("cus_1")

    saved, _, _ = await _stored(database)
    assert saved["sub_1"].unpaid_since == older


async def test_who_asks_while_another_reads_takes_a_read_that_began_later(script, verifier, held):
    go_on = asyncio.Event()
    script.on("GET", SUBSCRIPTIONS, Answer(listed(_paid()).body, held=go_on))
    first = asyncio.create_task(verifier.verify("cus_1"))
    await script.came.wait()
    others = [asyncio.create_task(verifier.verify("cus_1")) for _ in range(5)]
    await asyncio.sleep(0.2)
    reads_at_once = len(script.calls)
    go_on.set()
    await asyncio.gather(first, *others)

    assert reads_at_once == 1
    assert len(script.calls) == 2, "one read that began after their need serves them all"


async def test_a_cancelled_verify_gives_its_claim_up(script, verifier, held):
    script.on("GET", SUBSCRIPTIONS, Answer(held=asyncio.Event()))
    first = asyncio.create_task(verifier.verify("cus_1"))
    await script.came.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    script.on("GET", SUBSCRIPTIONS, listed(_paid()))

    async with asyncio.timeout(2):
        verified = await verifier.verify("cus_1")

    assert verified.drift >= 0


async def test_a_failed_verify_gives_its_claim_up(script, verifier, held):
    script.on("GET", SUBSCRIPTIONS, Answer("", status=500), listed(_paid()))

    with pytest.raises(StripeUnavailable):
        await verifier.verify("cus_1")

    async with asyncio.timeout(2):
        assert (await verifier.verify("cus_1")).drift >= 0


async def test_a_read_that_is_always_overtaken_ends(database, script, verifier, held):
    async def work(connection):
        locked = await customers.lock(connection, ["cus_1"])
        await customers.save(connection, [replace(locked["cus_1"], saved_ticket=10**9)])

    await database.write(work)
    script.on("GET", SUBSCRIPTIONS, listed(_paid()))

    with pytest.raises(StripeUnavailable):
        await verifier.verify("cus_1")

    assert len(script.calls) == 5


def _doubles() -> float:
    return REGISTRY.get_sample_value("paidup_double_subscriptions_total") or 0.0


async def test_a_second_live_subscription_is_counted_and_named(script, verifier, caplog):
    script.on("GET", CUSTOMER, Answer(a_stripe_customer()))
    later = _paid(id="sub_2", created=seconds(NOW))
    ended = _paid(id="sub_3", status="canceled")
    script.on("GET", SUBSCRIPTIONS, listed(later, _paid(), ended))
    before = _doubles()

    await verifier.verify("cus_1")

    told = [each for each in caplog.records if each.message == "second_live_subscription"]
    assert [each.subscription_id for each in told] == ["sub_2"]
    assert _doubles() - before == 1


async def test_a_double_is_counted_once_though_the_database_asks_for_a_repetition(
    database, script, stripe, held
):
    script.on("GET", SUBSCRIPTIONS, listed(_paid(id="sub_2", created=seconds(NOW)), _paid()))
    before = _doubles()

    await Verifier(Repeating(database), stripe).verify("cus_1")

    assert _doubles() - before == 1


class Repeating:
    """A database that rolls every transaction back once, and then asks for it again."""

    def __init__(self, database) -> None:
        self._database = database

    def read(self):
        return self._database.read()

    async def write(self, work):
        async def rolled_back(connection):
            await work(connection)
            raise RolledBack

        with pytest.raises(RolledBack):
            await self._database.write(rolled_back)
        return await self._database.write(work)


class RolledBack(Exception):
    """The database wants the transaction repeated."""


async def test_a_status_that_stripe_may_add_is_counted_and_entitles_nobody(
    database, script, verifier, held
):
    before = REGISTRY.get_sample_value("paidup_unknown_statuses_total") or 0.0
    script.on("GET", SUBSCRIPTIONS, listed(_paid(status="hibernating")))

    await verifier.verify("cus_1")

    saved, _, _ = await _stored(database)
    assert saved["sub_1"].status is Status.UNKNOWN
    assert REGISTRY.get_sample_value("paidup_unknown_statuses_total") == before + 1
