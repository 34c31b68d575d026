"""GetSessionStatus and the portal where Stripe says something unusual."""

import pytest
import pytest_asyncio

from billing_service.errors import (
    CustomerNotFound,
    InvalidRequest,
    SessionNotFound,
    StripeMisconfigured,
    StripeUnavailable,
)
from billing_service.portal import Flow, Portal, PortalVisit
from billing_service.session_status import SessionStatuses
from billing_service.verifier import Verifier
from subscription_state import checkouts, customers
from tests.builders import a_stripe_checkout_session, a_stripe_customer
from tests.service_unit.scripted_stripe import Answer, listed, missing, refused

pytestmark = pytest.mark.asyncio(loop_scope="session")

SESSION = "/v1/checkout/sessions/cs_test_1"
PORTAL = "/v1/billing_portal/sessions"


def a_session(**fields) -> Answer:
    return Answer(a_stripe_checkout_session(**{"expires_at": 2_000_000_000} | fields))


@pytest.fixture
def statuses(database, stripe, script):
    script.on("GET", "/v1/subscriptions", listed())
    script.on("GET", "/v1/customers/cus_1", Answer(a_stripe_customer()))
    return SessionStatuses(database, stripe, Verifier(database, stripe))


async def _remembered(database):
    async with database.read() as connection:
        return await checkouts.get(connection, "cs_test_1")


@pytest.mark.parametrize("mode", ["payment", "setup", "something new"])
async def test_a_session_that_sells_no_subscription_is_not_ours(statuses, script, database, mode):
    script.on("GET", SESSION, a_session(mode=mode, status="open", payment_status="unpaid"))

    with pytest.raises(SessionNotFound):
        await statuses.get("acct_1", "cs_test_1")

    assert await _remembered(database) is None, "the next checkout would expire it"


@pytest.mark.parametrize("whose", ["acct_2", None])
async def test_a_session_of_another_account_is_not_found(statuses, script, database, whose):
    script.on("GET", SESSION, a_session(client_reference_id=whose))

    with pytest.raises(SessionNotFound):
        await statuses.get("acct_1", "cs_test_1")

    assert await _remembered(database) is None


async def test_a_session_of_another_tools_is_told_and_its_customer_verified(
    statuses, script, database
):
    script.on("GET", SESSION, a_session())

    state = await statuses.get("acct_1", "cs_test_1")

    assert (state.status, state.payment_status) == ("complete", "paid")
    assert (await _remembered(database)).status == "complete"
    assert "/v1/subscriptions" in script.paths()


async def test_a_complete_session_without_a_customer_is_told(statuses, script):
    script.on("GET", SESSION, a_session(customer=None))

    assert (await statuses.get("acct_1", "cs_test_1")).status == "complete"


async def test_an_open_session_costs_no_verify(statuses, script):
    script.on("GET", SESSION, a_session(status="open", payment_status="unpaid"))

    assert (await statuses.get("acct_1", "cs_test_1")).status == "open"
    assert script.paths() == [SESSION]


async def test_an_expired_session_is_asked_about_once(statuses, script):
    script.on("GET", SESSION, a_session(status="expired", payment_status="unpaid"))

    states = [await statuses.get("acct_1", "cs_test_1") for _ in range(3)]

    assert {state.status for state in states} == {"expired"}
    assert script.paths() == [SESSION]


@pytest.mark.parametrize("answer", [missing("session"), refused(400)])
async def test_a_session_that_stripe_does_not_give_is_not_found(statuses, script, answer):
    script.on("GET", SESSION, answer)

    with pytest.raises(SessionNotFound):
        await statuses.get("acct_1", "cs_test_1")


@pytest.mark.parametrize(
    "session_id", ["../customers", ".", "..", "cs_1/expire", "cs?x=1", "%2e%2e"]
)
async def test_an_id_leads_to_no_other_path(statuses, script, session_id):
    with pytest.raises(SessionNotFound):
        await statuses.get("acct_1", session_id)

    assert all(path.startswith("/v1/checkout") for path in script.paths())


async def test_a_complete_session_is_not_told_before_it_is_saved(statuses, script):
    script.on("GET", SESSION, a_session())
    script.on("GET", "/v1/subscriptions", Answer("", status=500))

    with pytest.raises(StripeUnavailable):
        await statuses.get("acct_1", "cs_test_1")


@pytest_asyncio.fixture(loop_scope="session")
async def portal(database, stripe):
    async def work(connection):
        await customers.lock(connection, ["cus_1"])
        await customers.link(connection, "cus_1", "acct_1")

    await database.write(work)
    return Portal(database, stripe, default_return_url="https://app.example.com/account")


def a_visit(**fields) -> PortalVisit:
    values = {
        "account_id": "acct_1",
        "return_url": "",
        "flow": Flow.HOME,
        "subscription_id": "",
        "locale": "",
    }
    return PortalVisit(**values | fields)


@pytest.mark.parametrize("field", ["return_url", "locale"])
async def test_what_stripe_refuses_of_the_callers_is_named(portal, script, field):
    script.on("POST", PORTAL, refused(param=field))

    with pytest.raises(InvalidRequest) as refused_:
        await portal.open(a_visit(**{field: "https://app.example.com/x"}))

    assert [each.field for each in refused_.value.violations] == [field]


@pytest.mark.parametrize("param", ["return_url", "configuration", ""])
async def test_what_stripe_refuses_of_the_operators_is_not_the_callers(portal, script, param):
    script.on("POST", PORTAL, refused(param=param))

    with pytest.raises(StripeMisconfigured):
        await portal.open(a_visit())


async def test_a_customer_that_stripe_does_not_know_has_no_portal(portal, script):
    script.on("POST", PORTAL, missing("customer", status=400))

    with pytest.raises(CustomerNotFound):
        await portal.open(a_visit())


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("", "https://app.example.com/account"),
        ("https://app.example.com/x", "https://app.example.com/x"),
    ],
)
async def test_the_way_back_is_the_callers_or_the_default(portal, script, asked, sent):
    script.on("POST", PORTAL, Answer({"id": "bps_1", "url": "https://billing.stripe.com/x"}))

    await portal.open(a_visit(return_url=asked, flow=Flow.PAYMENT_METHOD_UPDATE))

    params = script.calls[-1].params
    assert params["return_url"] == sent
    assert params["flow_data[after_completion][redirect][return_url]"] == sent
