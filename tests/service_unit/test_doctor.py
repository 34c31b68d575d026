"""`doctor`: each look at something that is wrong, and one at all being well."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial

import pytest
import pytest_asyncio
import stripe as sdk

from billing_service import doctor, static_tokens, stripe_api
from billing_service.findings import Finding, Level
from billing_service.mirror import Mirror
from demo.stack import API_KEY
from subscription_state import customers, deployment, events, migrate, subscriptions, touches
from subscription_state.apply import EVENT_TYPES
from subscription_state.database import Database
from subscription_state.from_stripe import API_VERSION
from subscription_state.model import Status
from subscription_state.schema_history import Phase
from tests.builders import NOW, a_delivery, a_subscription, an_item
from tests.gateway.processes import a_process
from tests.service_unit.conftest import webhook_settings_for
from tests.service_unit.restricted import restricted
from tests.service_unit.scripted_stripe import listed
from tests.state.future import TAKING

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOWHERE = "http://127.0.0.1:1"
SECRET = "whsec_0123456789abcdef"
RESTRICTED_KEY = "rk_test_paidup_demo_not_a_real_key"
FRESH = {"as_of_start": None, "as_of_end": None, "verified_at": None}


@pytest.fixture
def examined(capsys, monkeypatch, database_url, sold):
    """Run the doctor; give whether it was content, and what it found by subject."""
    monkeypatch.setattr(stripe_api, "NETWORK_RETRIES", 0)

    async def examine(*, at=sold.url, url=database_url, gateway_url="", **settings):
        given = webhook_settings_for(at, url, **settings)
        where = doctor.Where(gateway_url=gateway_url)
        healthy = await doctor.examine(given, where, as_json=True)
        told = json.loads(capsys.readouterr().out)
        found = {each["subject"]: (each["level"], each["text"]) for each in told["findings"]}
        assert healthy == (told["level"] != "problem")
        return healthy, found

    return examine


@pytest.fixture
def bound(database):
    async def bind(account_id: str | None) -> None:
        await database.write(
            lambda connection: deployment.bind(
                connection, livemode=False, stripe_account_id=account_id
            )
        )

    return bind


@pytest_asyncio.fixture(loop_scope="session")
async def running(bound, database, at_emulator):
    """A database as a service leaves it that has run for a while."""
    await bound(await at_emulator.account_id())
    await Mirror(database, at_emulator, interval=timedelta(0)).refresh()


@pytest_asyncio.fixture(loop_scope="session")
async def at_stripe(sold):
    """The official SDK, looking at Stripe past our service."""
    http = sdk.AIOHTTPClient()
    yield sdk.StripeClient(API_KEY, base_addresses={"api": sold.url}, http_client=http)
    await http.close_async()


@pytest_asyncio.fixture(loop_scope="session")
async def endpoint(at_stripe):
    """Make webhook endpoints at Stripe, gone after the test."""
    made = []

    async def make(url, **params):
        wanted = {"enabled_events": sorted(EVENT_TYPES), "api_version": API_VERSION}
        created = await at_stripe.v1.webhook_endpoints.create_async({"url": url} | wanted | params)
        made.append(created.id)
        return created

    yield make
    for each in made:
        await at_stripe.v1.webhook_endpoints.delete_async(each)


@pytest_asyncio.fixture(loop_scope="session")
async def gateway(database_url, tmp_path):
    """Run a gateway that knows the one secret; give its URL."""
    with a_process(tmp_path, DATABASE_URL=database_url, WEBHOOK_SECRETS=SECRET) as process:
        yield await process.url()


@pytest.fixture
def told(monkeypatch):
    """Let this process be told the secret too."""
    monkeypatch.setenv("PAIDUP_WEBHOOK_SECRETS", SECRET)


@pytest_asyncio.fixture(loop_scope="session")
async def limited(sold):
    async with restricted(sold.url) as stripe:
        yield stripe


@pytest.mark.usefixtures("running", "told")
async def test_all_is_well_with_all_that_is_wanted(examined, endpoint, gateway):
    url = f"{gateway}/webhooks/stripe"
    await endpoint(url)

    healthy, found = await examined(webhook_url=url, stripe_api_key=RESTRICTED_KEY)

    assert healthy
    assert {subject: told for subject, told in found.items() if told[0] != "ok"} == {}
    assert set(found) == set(doctor.LOOKS)


async def test_an_empty_database_is_told_by_each_look_and_hides_nothing(examined, tmp_path):
    healthy, found = await examined(url=f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}")

    assert not healthy
    assert "test mode, of account acct_" in found["Stripe's key"][1]
    unmigrated = {subject for subject, told in found.items() if "The schema is at noth" in told[1]}
    assert {"database's schema", "database's deployment", "backlog", "drift"} <= unmigrated
    assert found["clock"][0] == "ok"


async def test_what_is_left_to_be_taken_away_is_told(examined, tmp_path, monkeypatch):
    url = f"sqlite+aiosqlite:///{tmp_path / 'left.db'}"
    database = Database.at(url)
    await migrate.upgrade(database, Phase.BEFORE)
    await migrate.upgrade(database, Phase.BEFORE, history=TAKING)
    await database.close()
    for look in ("look", "check"):
        monkeypatch.setattr(migrate, look, partial(getattr(migrate, look), history=TAKING))

    _, found = await examined(url=url)

    level, text = found["database's schema"]
    assert level == "warning"
    assert "at version future_1. When no older version runs any more" in text
    assert "`migrate --phase after`: future_2" in text


async def test_stripe_away_is_told_and_the_database_is_looked_at_all_the_same(examined):
    healthy, found = await examined(at=NOWHERE)

    assert not healthy
    assert found["Stripe's key"] == ("problem", "Stripe did not answer; try again.") or (
        "Stripe did not answer" in found["Stripe's key"][1]
    )
    assert found["database's schema"][0] == "ok"


async def test_a_key_that_stripe_does_not_know_is_a_problem(examined, limited):
    limited.keyless = True

    healthy, found = await examined(at=limited.url)

    assert not healthy
    for subject in ("Stripe's key", "key's permissions"):
        assert found[subject][0] == "problem"
        assert "PAIDUP_STRIPE_API_KEY" in found[subject][1]


@pytest.mark.usefixtures("running")
async def test_a_secret_key_works_and_is_warned_of(examined):
    _, found = await examined()

    level, text = found["Stripe's key"]
    assert level == "warning"
    assert "restricted" in text


@pytest.mark.usefixtures("running")
async def test_a_permission_that_is_missing_is_named(examined, limited):
    limited.forbidden = {"/v1/invoices", "/v1/events", "/v1/webhook_endpoints"}

    healthy, found = await examined(at=limited.url, stripe_api_key=RESTRICTED_KEY)

    assert not healthy
    level, text = found["key's permissions"]
    assert level == "problem"
    assert "Invoices, Events:" in text
    assert found["webhook endpoint"][0] == "warning"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/webhook_endpoints", "Webhook Endpoints"),
        ("/v1/billing_portal/configurations", "Customer portal"),
    ],
)
@pytest.mark.usefixtures("running")
async def test_what_the_service_does_not_need_is_a_warning(examined, limited, path, name):
    limited.forbidden = {path}

    _, found = await examined(at=limited.url, stripe_api_key=RESTRICTED_KEY)

    level, text = found["key's permissions"]
    assert level == "warning"
    assert name in text


@pytest.mark.usefixtures("running")
async def test_a_key_that_may_not_tell_its_account_is_no_problem(examined, limited):
    limited.forbidden = {"/v1/account"}

    _, found = await examined(at=limited.url, stripe_api_key=RESTRICTED_KEY)

    assert found["Stripe's key"][0] == "ok"
    assert found["database's deployment"][0] == "warning"


@pytest.mark.parametrize(
    ("off", "level", "word"),
    [(-400, "problem", "ahead of"), (400, "problem", "behind"), (-60, "warning", "ahead of")],
)
@pytest.mark.usefixtures("running")
async def test_a_clock_that_is_off_is_told(examined, limited, off, level, word):
    moved = datetime.now(UTC) + timedelta(seconds=off)
    limited.headers = {"Date": format_datetime(moved, usegmt=True)}

    _, found = await examined(at=limited.url)

    assert found["clock"][0] == level
    assert word in found["clock"][1]


@pytest.mark.parametrize("is_bound", [False, True])
async def test_an_account_that_is_not_known_yet_is_no_problem(examined, bound, is_bound):
    if is_bound:
        await bound(None)

    _, found = await examined()

    assert found["database's deployment"][0] == "ok"
    assert "not bound yet" in found["database's deployment"][1]


async def test_the_database_of_another_account_is_a_problem(examined, bound):
    await bound("acct_another")

    healthy, found = await examined()

    assert not healthy
    assert "another account or mode" in found["database's deployment"][1]


async def test_the_database_of_another_mode_is_a_problem(examined, database):
    await database.write(lambda connection: deployment.bind(connection, livemode=True))

    _, found = await examined()

    assert found["database's deployment"][0] == "problem"


@pytest.mark.parametrize(
    ("age", "level"),
    [(timedelta(0), "ok"), (timedelta(minutes=2), "warning"), (timedelta(hours=1), "problem")],
)
async def test_a_backlog_is_told_by_its_age(examined, database, age, level):
    then = datetime.now(UTC) - age
    await database.write(
        lambda connection: touches.touch(connection, "cus_1", ticket=1, urgent=False, now=then)
    )

    _, found = await examined()

    assert found["backlog"][0] == level
    assert found["backlog"][1].startswith("customers that wait to be compared with Stripe: 1")


@pytest.mark.parametrize(
    ("attempts", "judged"),
    [(1, ("warning", "tried again")), (events.MOST_ATTEMPTS, ("problem", "evt_1 ("))],
)
async def test_events_that_failed_are_told(examined, database, attempts, judged):
    received = a_delivery().event

    async def fail(connection):
        await events.store(connection, received)
        await events.fail(connection, received.event_id, "Fault", attempts=attempts, now=NOW)

    await database.write(fail)

    _, found = await examined()

    level, word = judged
    assert found["events"][0] == level
    assert word.replace("evt_1", received.event_id) in found["events"][1]


async def test_customers_that_were_given_up_are_named(examined, database):
    async def park(connection) -> None:
        for number in range(12):
            customer_id = f"cus_{number:02}"
            await touches.touch(connection, customer_id, ticket=1, urgent=True, now=NOW)
            await touches.park(connection, customer_id, up_to=1, attempts=10, error="StripeRefused")

    await database.write(park)

    healthy, found = await examined()

    assert not healthy
    level, text = found["customers"]
    assert level == "problem"
    assert "cus_00 (StripeRefused, 10 tries)" in text
    assert "cus_10" not in text
    assert "and more" in text


def _paying(*held):
    async def save(connection):
        await customers.lock(connection, [each.customer_id for each in held])
        for each in held:
            await subscriptions.save(connection, each, freshness=FRESH)

    return save


async def test_customers_that_pay_and_belong_to_nobody_are_named(examined, database):
    ended = a_subscription(subscription_id="sub_2", customer_id="cus_ended", status=Status.CANCELED)
    await database.write(_paying(a_subscription(customer_id="cus_unlinked"), ended))

    _, found = await examined()

    level, text = found["accounts"]
    assert level == "warning"
    assert "cus_unlinked" in text
    assert "cus_ended" not in text


async def test_customers_that_pay_twice_are_named(examined, database):
    def held(number, customer_id, product_id, status=Status.ACTIVE):
        return a_subscription(
            subscription_id=f"sub_{number}",
            customer_id=customer_id,
            items=(an_item(product_id=product_id),),
            status=status,
        )

    await database.write(
        _paying(
            held(1, "cus_double", "prod_a"),
            held(2, "cus_double", "prod_a"),
            held(3, "cus_two_things", "prod_a"),
            held(4, "cus_two_things", "prod_b"),
            held(5, "cus_came_back", "prod_a", Status.CANCELED),
            held(6, "cus_came_back", "prod_a"),
        )
    )

    _, found = await examined()

    level, text = found["second subscriptions"]
    assert level == "warning"
    assert "cus_double (sub_1, sub_2)" in text
    assert "cus_two_things" not in text
    assert "cus_came_back" not in text


@pytest.mark.usefixtures("running")
async def test_customers_that_differ_from_stripe_are_named(examined, database, at_stripe):
    same, other, gone = [await at_stripe.v1.customers.create_async({}) for _ in range(3)]
    await at_stripe.v1.customers.delete_async(gone.id)
    held = a_subscription(customer_id=other.id)
    nowhere = a_subscription(customer_id="cus_nowhere", subscription_id="sub_2")
    await database.write(_paying(held, nowhere))
    await database.write(lambda connection: customers.lock(connection, [same.id, gone.id]))

    _, found = await examined()

    level, text = found["drift"]
    assert level == "warning"
    assert all(each in text for each in (other.id, gone.id, "cus_nowhere"))
    assert same.id not in text


async def test_products_that_are_not_known_here_are_a_problem(examined, bound, at_emulator):
    await bound(await at_emulator.account_id())

    healthy, found = await examined()

    assert not healthy
    assert found["products"][0] == "problem"
    assert "start the service" in found["products"][1]


async def test_a_catalogue_with_loose_ends_is_a_warning(examined, database, at_emulator, at_stripe):
    bare = await at_stripe.v1.products.create_async({"name": "Bare"})
    monthly = {"currency": "usd", "unit_amount": 100, "recurring": {"interval": "month"}}
    price = await at_stripe.v1.prices.create_async({"product": bare.id, **monthly})
    idle = await at_stripe.v1.entitlements.features.create_async(
        {"name": "Idle", "lookup_key": "idle_feature"}
    )
    await Mirror(database, at_emulator, interval=timedelta(0)).refresh()

    _, found = await examined()
    await at_stripe.v1.prices.update_async(price.id, {"active": False})
    await at_stripe.v1.entitlements.features.update_async(idle.id, {"active": False})

    level, text = found["features"]
    assert level == "warning"
    assert f"no feature: {bare.id}." in text
    assert "no product gives: idle_feature." in text


@pytest.mark.usefixtures("running")
async def test_a_portal_without_payment_methods_is_a_warning(examined, at_stripe):
    configurations = at_stripe.v1.billing_portal.configurations
    [default] = (await configurations.list_async({"is_default": True})).data
    off = {"features": {"payment_method_update": {"enabled": False}}}
    on = {"features": {"payment_method_update": {"enabled": True}}}

    await configurations.update_async(default.id, off)
    _, found = await examined()
    await configurations.update_async(default.id, on)

    assert found["portal"][0] == "warning"


@pytest.mark.usefixtures("running")
async def test_a_portal_that_was_never_set_up_is_a_problem(examined, at_stripe):
    configurations = at_stripe.v1.billing_portal.configurations
    [default] = (await configurations.list_async({"is_default": True})).data

    await configurations.update_async(default.id, {"active": False})
    _, found = await examined()
    await configurations.update_async(default.id, {"active": True})

    assert found["portal"][0] == "problem"
    assert "CreatePortalSession" in found["portal"][1]


URL = "http://127.0.0.1:9/webhooks/stripe"


@pytest.mark.parametrize(
    ("params", "judged"),
    [
        ({}, ("ok", "all that is used")),
        ({"enabled_events": ["*"]}, ("warning", "every event")),
        (
            {"enabled_events": [*sorted(EVENT_TYPES), "charge.succeeded"]},
            ("warning", "charge.succ"),
        ),
        ({"enabled_events": sorted(EVENT_TYPES - {"invoice.paid"})}, ("problem", "invoice.paid")),
        ({"metadata": {"paidup_secret": "unsaved"}}, ("problem", "nobody has its secret")),
    ],
)
@pytest.mark.usefixtures("running")
async def test_an_endpoint_is_judged(examined, endpoint, params, judged):
    await endpoint(URL, **params)

    _, found = await examined(webhook_url=URL)

    level, word = judged
    assert found["webhook endpoint"][0] == level
    assert word in found["webhook endpoint"][1]


@pytest.mark.usefixtures("running")
async def test_an_endpoint_that_is_not_there_is_a_problem(examined):
    healthy, found = await examined(webhook_url=URL)

    assert not healthy
    assert found["webhook endpoint"][0] == "problem"
    assert "webhooks ensure" in found["webhook endpoint"][1]


@pytest.mark.usefixtures("running")
async def test_an_endpoint_that_is_disabled_is_a_problem(examined, endpoint, at_stripe):
    made = await endpoint(URL)
    await at_stripe.v1.webhook_endpoints.update_async(made.id, {"disabled": True})

    _, found = await examined(webhook_url=URL)

    assert found["webhook endpoint"] == (
        "problem",
        f"{made.id} is disabled: `webhooks ensure --url URL` mends it.",
    )


@pytest.mark.usefixtures("running")
async def test_an_endpoint_of_another_version_is_a_problem(examined, script):
    an_old_one = {
        "id": "we_old",
        "url": URL,
        "status": "enabled",
        "api_version": "2020-08-27",
        "enabled_events": sorted(EVENT_TYPES),
    }
    script.on("GET", "/v1/webhook_endpoints", listed(an_old_one))

    _, found = await examined(at=script.url, webhook_url=URL)

    assert found["webhook endpoint"][0] == "problem"
    assert f"we_old sends 2020-08-27 instead of {API_VERSION}" in found["webhook endpoint"][1]


@pytest.mark.usefixtures("running")
async def test_without_its_url_the_endpoint_is_found_by_the_gateways_path(examined, endpoint):
    made = await endpoint(URL)

    _, found = await examined()

    assert found["webhook endpoint"][0] == "ok"
    assert made.id in found["webhook endpoint"][1]


@pytest.mark.usefixtures("running")
async def test_two_endpoints_that_send_to_one_place_are_a_warning(examined, endpoint):
    await endpoint(URL)
    await endpoint(URL)

    _, found = await examined(webhook_url=URL)

    assert found["webhook endpoint"][0] == "warning"


@pytest.mark.usefixtures("running")
async def test_secrets_that_this_process_was_not_told_are_a_warning(examined):
    _, found = await examined()

    assert found["signing secrets"][0] == "warning"
    assert "PAIDUP_WEBHOOK_SECRETS" in found["signing secrets"][1]
    assert found["gateway"][0] == "warning"


@pytest.mark.usefixtures("running")
async def test_secrets_that_are_none_are_a_problem_and_not_shown(examined, monkeypatch):
    monkeypatch.setenv("PAIDUP_WEBHOOK_SECRETS", "hunter2")

    _, found = await examined()

    assert found["signing secrets"][0] == "problem"
    assert "hunter2" not in str(found)


@pytest.mark.usefixtures("running")
async def test_a_secrets_file_that_cannot_be_read_is_a_problem(examined, tmp_path, monkeypatch):
    monkeypatch.setenv("PAIDUP_WEBHOOK_SECRETS_FILE", str(tmp_path))

    _, found = await examined()

    assert found["signing secrets"][0] == "problem"
    assert "IsADirectoryError" in found["signing secrets"][1]


@pytest.mark.usefixtures("running", "told")
async def test_the_secret_of_another_endpoint_is_a_warning(examined, endpoint):
    await endpoint(URL, metadata={"paidup_secret": "0123456789abcdef"})

    _, found = await examined(webhook_url=URL)

    assert found["signing secrets"][0] == "warning"
    assert "rolled" in found["signing secrets"][1]


@pytest.mark.usefixtures("running")
async def test_a_gateway_that_does_not_know_one_of_the_secrets_is_a_problem(
    examined, monkeypatch, gateway
):
    monkeypatch.setenv("PAIDUP_WEBHOOK_SECRETS", f"{SECRET},whsec_another")
    url = f"{gateway}/webhooks/stripe"

    _, found = await examined(webhook_url=URL, gateway_url=url)

    level, text = found["gateway"]
    assert level == "problem"
    assert "does not know the secret" in text
    assert "whsec_" not in str(found)


@pytest.mark.usefixtures("told")
async def test_a_gateway_of_another_mode_is_a_problem(examined, database, gateway):
    await database.write(lambda connection: deployment.bind(connection, livemode=True))
    url = f"{gateway}/webhooks/stripe"

    _, found = await examined(gateway_url=url)

    assert found["gateway"][0] == "problem"
    assert "another account or mode" in found["gateway"][1]


@pytest.mark.parametrize(
    ("path", "word"), [("/healthz", "method_not_allowed"), ("/nothing", "not_found")]
)
@pytest.mark.usefixtures("running", "told")
async def test_what_is_not_the_gateway_is_a_problem(examined, path, word, gateway):
    _, found = await examined(gateway_url=f"{gateway}{path}")

    assert found["gateway"][0] == "problem"
    assert word in found["gateway"][1]


@pytest.mark.usefixtures("running", "told")
async def test_a_gateway_that_is_not_there_is_a_problem(examined):
    _, found = await examined(webhook_url=f"{NOWHERE}/webhooks/stripe")

    assert found["gateway"][0] == "problem"
    assert "cannot be reached" in found["gateway"][1]


@pytest.mark.usefixtures("running")
async def test_a_look_that_hangs_is_given_up_and_hides_no_other(examined, monkeypatch):
    async def hang(_patient):
        await asyncio.Event().wait()

    monkeypatch.setitem(doctor.LOOKS, "hanging", hang)
    monkeypatch.setattr(doctor, "LOOK_TIMEOUT", 3.0)

    healthy, found = await examined()

    assert not healthy
    assert found["hanging"] == ("problem", "Not known: there was no answer within 3 seconds.")
    assert found["database's schema"][0] == "ok"


@pytest.mark.usefixtures("running")
async def test_a_look_that_breaks_is_told_and_hides_no_other(examined, monkeypatch):
    async def break_(_patient):
        raise RuntimeError(SECRET)

    monkeypatch.setitem(doctor.LOOKS, "broken", break_)

    healthy, found = await examined()

    assert not healthy
    assert found["broken"] == ("problem", "Not known: the look itself failed (RuntimeError).")
    assert found["database's schema"][0] == "ok"


async def test_the_table_shows_brackets_as_they_are_and_every_level(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    text = "Stripe refused line_items[0][price]"

    doctor.show({level.value: Finding(level=level, text=text) for level in Level})

    shown = capsys.readouterr().out
    assert shown.count(text) == 3
    assert all(f"│ {level.value}" in shown for level in Level)


@pytest.mark.usefixtures("running", "told")
async def test_no_secret_is_shown(examined):
    _, found = await examined()

    assert found["signing secrets"] == ("ok", "1 present")
    assert SECRET not in str(found)
    assert API_KEY not in str(found)


async def test_a_file_that_says_who_may_call_and_cannot_be_used_is_a_problem(examined, tmp_path):
    tokens, policy = tmp_path / "tokens", tmp_path / "policy.toml"
    tokens.write_text(static_tokens.make("shop").line)
    policy.write_text("[[caller]]\nname = 'token:shop'\nmay_call = ['all']\n")

    healthy, found = await examined(tokens_file=tokens, policy_file=policy)

    level, text = found["who may call"]
    assert not healthy
    assert level == "problem"
    assert "all is neither a method nor one of billing, admin" in text
