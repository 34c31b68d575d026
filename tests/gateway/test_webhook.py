"""What becomes of requests, told over HTTP and looked up in the database."""

import asyncio
import functools
import json
import operator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from subscription_state.tables import customer, subscription, touched
from tests.builders import a_stripe_event
from tests.gateway.clients import Stripe, an_event
from tests.gateway.databases import OUR_ACCOUNT, SharedDatabase, count, stored


async def test_an_event_is_stored_and_applied_once_it_is_answered(
    stripe: Stripe, database: SharedDatabase
) -> None:
    answer = await stripe.deliver(an_event())

    assert (answer.status, answer.content) == (200, {"outcome": "applied"})
    [row] = await stored(database.url)
    assert (row.event_id, row.state, row.deliveries) == ("evt_1", "applied", 1)
    assert row.body == json.dumps(an_event()).encode()
    assert [row.subscription_id for row in await stored(database.url, subscription)] == ["sub_1"]
    assert [row.customer_id for row in await stored(database.url, touched)] == ["cus_1"]


async def test_a_repeated_delivery_is_counted_and_not_applied_again(
    stripe: Stripe, database: SharedDatabase
) -> None:
    await stripe.deliver(an_event())

    answer = await stripe.deliver(an_event())

    assert (answer.status, answer.outcome) == (200, "duplicate")
    [row] = await stored(database.url)
    assert row.deliveries == 2


async def test_parallel_deliveries_of_one_event_leave_one_row(
    stripe: Stripe, database: SharedDatabase
) -> None:
    answers = await asyncio.gather(*(stripe.deliver(an_event()) for _ in range(30)))

    outcomes = sorted(answer.outcome for answer in answers)
    assert outcomes == ["applied", *["duplicate"] * 29]
    [row] = await stored(database.url)
    assert row.deliveries == 30


async def test_an_event_of_no_interest_is_answered_and_not_stored(
    stripe: Stripe, database: SharedDatabase
) -> None:
    answer = await stripe.deliver(a_stripe_event("radar.early_fraud_warning.created"))

    assert (answer.status, answer.outcome) == (200, "ignored")
    assert await count(database.url) == 0
    counted = {"type": "other", "outcome": "ignored"}
    assert await stripe.metric("paidup_webhook_events_total", **counted) == 1


@pytest.mark.parametrize(
    "strange", [{"account": "acct_another"}, {"livemode": True}], ids=["account", "mode"]
)
async def test_a_foreign_event_is_answered_counted_and_not_stored(
    stripe: Stripe, database: SharedDatabase, strange: dict[str, object]
) -> None:
    answer = await stripe.deliver(an_event(**strange))

    assert (answer.status, answer.outcome) == (200, "foreign")
    assert await count(database.url) == 0
    assert await count(database.url, customer) == 0
    counted = {"type": "customer.subscription.created", "outcome": "foreign"}
    assert await stripe.metric("paidup_webhook_events_total", **counted) == 1


async def test_an_event_that_names_our_own_account_is_ours(stripe: Stripe) -> None:
    answer = await stripe.deliver(an_event(account=OUR_ACCOUNT))

    assert answer.outcome == "applied"


async def test_an_event_of_another_api_version_is_stored_and_read_instead(
    stripe: Stripe, database: SharedDatabase
) -> None:
    answer = await stripe.deliver(an_event(api_version="2020-08-27"))

    assert answer.outcome == "skipped"
    [touch] = await stored(database.url, touched)
    assert touch.urgent


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=4,
)
PLACES = [
    ("id",),
    ("type",),
    ("created",),
    ("account",),
    ("livemode",),
    ("data",),
    ("data", "object"),
    ("data", "previous_attributes"),
    *(("data", "object", field) for field in ("id", "customer", "status", "items", "metadata")),
    ("data", "object", "metadata", "account_id"),
    ("data", "object", "items", "data"),
]


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.sampled_from(PLACES), strange=JSON)
async def test_whatever_stripe_signs_it_is_answered_and_never_asked_for_again(
    stripe: Stripe, place: tuple[str, ...], strange: object
) -> None:
    event = an_event()
    *path, last = place
    functools.reduce(operator.getitem, path, event)[last] = strange

    answer = await stripe.deliver(event)

    assert answer.status in (200, 400)


async def test_an_event_as_deep_as_is_read_is_taken(stripe: Stripe) -> None:
    event = an_event()
    event["data"]["previous_attributes"] = {"status": "DEEP"}
    event["data"]["object"]["metadata"]["account_id"] = "DEEP"
    deep = b"[" * 1000 + b"]" * 1000

    answer = await stripe.send(json.dumps(event).encode().replace(b'"DEEP"', deep))

    assert answer.status == 200
