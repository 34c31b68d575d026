"""How far our clock is from Stripe's, as its answers tell."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from prometheus_client import REGISTRY

from billing_service import metrics
from tests.service_unit.scripted_stripe import Answer

pytestmark = pytest.mark.asyncio(loop_scope="session")

PRICE = "/v1/prices/price_1"
#: `Date` has whole seconds, and an answer takes its time on a slow machine.
CLOSE = 60


def _dated(date: str) -> Answer:
    return Answer({"id": "price_1"}, headers={"Date": date})


def _skew() -> float:
    return REGISTRY.get_sample_value("paidup_clock_skew_seconds")


@pytest.mark.parametrize("minutes", [-10, 0, 10])
async def test_it_is_told_as_ours_minus_stripes(stripe, script, minutes):
    theirs = datetime.now(UTC) - timedelta(minutes=minutes)
    script.on("GET", PRICE, _dated(format_datetime(theirs, usegmt=True)))

    await stripe.price("price_1")

    assert _skew() == pytest.approx(minutes * 60, abs=CLOSE)


@pytest.mark.parametrize("date", ["yesterday", "", "Fri, 31 Dec 9999 23:59:59 -2359"])
async def test_a_date_that_is_none_says_nothing_and_spoils_no_call(stripe, script, date):
    metrics.CLOCK_SKEW.set(7)
    script.on("GET", PRICE, _dated(date))

    assert (await stripe.price("price_1"))["id"] == "price_1"
    assert _skew() == 7
