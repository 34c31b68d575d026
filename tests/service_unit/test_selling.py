"""Checkout where something goes wrong in the middle: the emulator and SQLite, our side in here."""

import asyncio
import shutil
import uuid
from dataclasses import replace

import pytest
import pytest_asyncio

from billing_service import account_customers
from billing_service.account_customers import AccountCustomers
from billing_service.checkout import Checkout
from billing_service.errors import (
    AlreadySubscribed,
    InvalidRequest,
    PriceNotFound,
    RequestIdReused,
    StripeMisconfigured,
)
from billing_service.leased import Lease
from billing_service.order import Line, Order
from billing_service.verifier import Verifier
from subscription_state import checkouts, customers
from subscription_state.database import Database
from tests.service_unit.scripted_stripe import Answer, listed, missing, refused

pytestmark = pytest.mark.asyncio(loop_scope="session")

GOOD_CARD = {"number": "4242424242424242", "email": "jenny@example.com"}
RETURN_URL = "http://localhost:4242/{CHECKOUT_SESSION_ID}"


def an_order(account: str, price: str = "basic_monthly", **fields) -> Order:
    values = {
        "account_id": account,
        "lines": (Line(price=price, quantity=1),),
        "hosted": False,
        "return_url": RETURN_URL,
        "success_url": "",
        "cancel_url": "",
        "customer_email": "",
        "trial_period_days": 0,
        "allow_promotion_codes": False,
        "locale": "",
        "custom_text": {},
        "metadata": {},
        "allow_additional": False,
        "request_id": "",
    }
    return Order(**values | fields)


@pytest.fixture
def checkout(database, at_emulator):
    return Checkout(database, at_emulator, Verifier(database, at_emulator))


@pytest.fixture
def pay(sold):
    async def pay_(session_id: str) -> None:
        assert (await sold.pay(session_id, **GOOD_CARD))["outcome"] == "complete"

    return pay_


@pytest_asyncio.fixture(loop_scope="session")
async def restored(template, tmp_path):
    """A database from a backup: it has forgotten what Stripe has not."""
    shutil.copy(template, tmp_path / "restored.db")
    opened = Database.at(f"sqlite+aiosqlite:///{tmp_path / 'restored.db'}")
    yield opened
    await opened.close()


class Crash(Exception):
    """The process died here."""


@pytest.fixture
def crash(checkout, monkeypatch):
    """Let the next checkout die between Stripe's answer and our save."""

    def crash_next():
        async def die(*_arguments):
            monkeypatch.undo()
            raise Crash

        monkeypatch.setattr(checkout, "_remember", die)

    return crash_next


async def _sessions_of(stripe, customer_id: str) -> list[dict]:
    listed_ = await stripe.v1.checkout.sessions.list_async({"customer": customer_id})
    return [each.to_dict() for each in listed_.data]


async def test_a_request_that_crashed_after_stripes_answer_finds_its_session_again(
    checkout, crash, account, at_emulator
):
    order = an_order(account, request_id=str(uuid.uuid4()))
    crash()
    with pytest.raises(Crash):
        await checkout.create(order)

    offer = await checkout.create(order)
    again = await checkout.create(order)

    assert len(await _sessions_of(at_emulator, offer.session["customer"])) == 1
    assert not offer.reused
    assert again == offer


async def test_a_crashed_request_is_not_taken_for_another(checkout, crash, account):
    order = an_order(account, request_id=str(uuid.uuid4()))
    crash()
    with pytest.raises(Crash):
        await checkout.create(order)

    with pytest.raises(RequestIdReused):
        await checkout.create(replace(order, trial_period_days=7))
    with pytest.raises(RequestIdReused):
        await checkout.create(replace(order, account_id=f"{account}-other"))


async def test_a_request_that_was_given_an_open_session_is_answered_alike_again(checkout, account):
    first = await checkout.create(an_order(account))
    order = an_order(account, request_id=str(uuid.uuid4()))

    reused = await checkout.create(order)
    again = await checkout.create(order)

    assert reused.reused
    assert reused.session["id"] == first.session["id"]
    assert again == reused


async def test_one_id_for_two_accounts_at_once_sells_to_one(checkout, account):
    request_id = str(uuid.uuid4())
    orders = [an_order(f"{account}-{n}", request_id=request_id) for n in range(2)]

    outcomes = await asyncio.gather(*map(checkout.create, orders), return_exceptions=True)

    assert sorted(isinstance(each, RequestIdReused) for each in outcomes) == [False, True]


async def test_two_replicas_sell_one_session(database, at_emulator, account):
    replicas = [Checkout(database, at_emulator, Verifier(database, at_emulator)) for _ in range(3)]

    offers = await asyncio.gather(*(each.create(an_order(account)) for each in replicas))

    assert len({offer.session["id"] for offer in offers}) == 1
    assert sorted(offer.reused for offer in offers) == [False, True, True]


async def test_the_open_session_of_a_customer_since_deleted_is_not_given_again(
    checkout, at_emulator, account, database
):
    first = await checkout.create(an_order(account))
    customer_id = first.session["customer"]
    await at_emulator.v1.customers.delete_async(customer_id)
    await AccountCustomers(database, at_emulator).forget(customer_id)

    second = await checkout.create(an_order(account))

    assert second.session["customer"] != customer_id
    assert not second.reused


async def test_of_two_open_sessions_of_one_form_one_is_left(
    checkout, at_emulator, account, database
):
    first = await checkout.create(an_order(account))
    async with database.read() as connection:
        known = await checkouts.get(connection, first.session["id"])
    # As where a replica lost its lease in the middle.
    params = {
        "mode": "subscription",
        "ui_mode": "embedded_page",
        "return_url": RETURN_URL,
        "customer": first.session["customer"],
        "line_items": [{"price": (await at_emulator.price_by_lookup_key("basic_monthly"))["id"]}],
    }
    params["line_items"][0]["quantity"] = 1
    second = await at_emulator.create_checkout_session(params, idempotency_key=str(uuid.uuid4()))
    await database.write(
        lambda connection: checkouts.save(connection, replace(known, session_id=second["id"]))
    )

    offer = await checkout.create(an_order(account))

    sessions = await _sessions_of(at_emulator, first.session["customer"])
    assert [each["id"] for each in sessions if each["status"] == "open"] == [offer.session["id"]]


async def test_a_customer_that_creation_gave_again_is_guarded_like_any_other(
    checkout, at_emulator, account, pay, restored
):
    first = await checkout.create(an_order(account))
    await pay(first.session["id"])
    elsewhere = Checkout(restored, at_emulator, Verifier(restored, at_emulator))

    with pytest.raises(AlreadySubscribed):
        await elsewhere.create(an_order(account, "basic_yearly"))


async def test_an_incomplete_subscription_of_an_abandoned_form_is_no_obstacle(
    checkout, sold, account
):
    first = await checkout.create(an_order(account))
    declined = await sold.pay(first.session["id"], **GOOD_CARD | {"number": "4000000000009995"})

    second = await checkout.create(an_order(account, "basic_yearly"))

    assert declined["outcome"] == "declined"
    assert second.session["id"] != first.session["id"]


async def test_a_form_that_was_paid_just_now_is_not_sold_again(checkout, account, pay):
    first = await checkout.create(an_order(account))
    await pay(first.session["id"])

    with pytest.raises(AlreadySubscribed):
        await checkout.create(an_order(account))
    with pytest.raises(AlreadySubscribed):
        await checkout.create(an_order(account, "basic_yearly"))


async def test_a_repeated_request_is_answered_after_it_was_paid(checkout, account, pay):
    order = an_order(account, request_id=str(uuid.uuid4()))
    first = await checkout.create(order)
    await pay(first.session["id"])

    again = await checkout.create(order)

    assert again.session["id"] == first.session["id"]
    assert again.session["status"] == "complete"


UNICODE = "Zoë / 東京 🚀"


@pytest.mark.parametrize("name", [UNICODE, "ends in a space ", "x" * 200, "🚀" * 200, 'a:b\\c"d'])
async def test_any_account_id_becomes_one_customer(database, at_emulator, account, name):
    account_id = f"{account}{name}"[:200]
    owners = AccountCustomers(database, at_emulator)

    customer_id = await owners.ensure(account_id, "")

    raw = await at_emulator.customer(customer_id)
    assert raw["metadata"] == {"account_id": account_id}
    assert await owners.ensure(account_id, "") == customer_id


async def test_accounts_whose_ids_are_alike_have_customers_of_their_own(database, at_emulator):
    owners = AccountCustomers(database, at_emulator)
    alike = ["same", "same ", f"{'s' * 199}a", f"{'s' * 199}b", "sam\u00e9", "same\u0301"]

    made = [await owners.ensure(f"alike-{each}"[:206], "") for each in alike]

    assert len(set(made)) == len(alike)


async def test_a_successors_creation_is_no_other_accounts(database, at_emulator, account):
    owners = AccountCustomers(database, at_emulator)
    first = await owners.ensure(account, "")
    await owners.forget(first)

    successor = await owners.ensure(account, "")
    other = await owners.ensure(f"{account}:{first}", "")

    assert len({first, successor, other}) == 3


async def test_a_creations_key_fits_into_a_header():
    key = account_customers._creation_key("🚀" * 200, None)

    assert key.isascii()
    assert len(key) <= 255


async def test_an_email_that_stripe_refuses_is_the_callers(database, at_emulator, account):
    owners = AccountCustomers(database, at_emulator)

    with pytest.raises(InvalidRequest) as refused_:
        await owners.ensure(account, "not an address")

    assert [each.field for each in refused_.value.violations] == ["customer_email"]


async def test_a_customer_that_another_process_linked_first_is_taken(
    database, at_emulator, account
):
    """As where the webhook was faster than Stripe's answer."""

    async def work(connection):
        await customers.lock(connection, ["cus_first"])
        await customers.link(connection, "cus_first", account)

    owners = AccountCustomers(database, at_emulator)
    create = at_emulator.create_customer

    async def slow(*arguments, **options):
        made = await create(*arguments, **options)
        await database.write(work)
        return made

    at_emulator.create_customer = slow
    assert await owners.ensure(account, "") == "cus_first"


@pytest_asyncio.fixture(loop_scope="session")
async def scripted(database, stripe, script):
    """A checkout at the scripted Stripe, which knows one price and one customer."""
    price = {"id": "price_1", "active": True, "product": "prod_1", "recurring": {}}
    price["recurring"] = {"interval": "month", "usage_type": "licensed"}
    script.on("GET", "/v1/prices", listed(price))
    script.on("POST", "/v1/customers", Answer({"id": "cus_1"}))
    script.on("GET", "/v1/customers/cus_1", Answer({"id": "cus_1"}))
    script.on("GET", "/v1/subscriptions", listed())
    return Checkout(database, stripe, Verifier(database, stripe))


SESSION = {
    "id": "cs_test_1",
    "status": "open",
    "payment_status": "unpaid",
    "customer": "cus_1",
    "subscription": None,
    "expires_at": 2_000_000_000,
}
CREATE = "/v1/checkout/sessions"


@pytest.mark.parametrize(
    ("param", "field"),
    [
        ("locale", "locale"),
        ("return_url", "return_url"),
        ("line_items[0][price]", "line_items"),
        ("custom_text[submit][message]", "custom_text"),
        ("subscription_data[trial_period_days]", "trial_period_days"),
    ],
)
async def test_a_field_that_stripe_refuses_is_named_in_our_words(
    scripted, script, account, param, field
):
    script.on("POST", CREATE, refused(param=param, message="sk_test_secret is wrong"))

    with pytest.raises(InvalidRequest) as refused_:
        await scripted.create(an_order(account))

    violation = refused_.value.violations[0]
    assert (violation.field, violation.description) == (field, "Stripe does not accept it.")


async def test_a_refusal_that_no_field_of_the_callers_explains_is_the_operators(
    scripted, script, account
):
    script.on("POST", CREATE, refused(message="You have no terms of service."))

    with pytest.raises(StripeMisconfigured):
        await scripted.create(an_order(account))


async def test_a_request_put_right_is_another_to_stripe(scripted, script, account):
    order = an_order(account, locale="xx", request_id=str(uuid.uuid4()))
    script.on("POST", CREATE, refused(param="locale"), Answer(SESSION))
    with pytest.raises(InvalidRequest):
        await scripted.create(order)

    offer = await scripted.create(replace(order, locale="fr"))

    keys = [call.headers["Idempotency-Key"] for call in script.calls if call.path == CREATE]
    assert offer.session["id"] == "cs_test_1"
    assert len(set(keys)) == 2
    assert all(order.request_id in key and len(key) <= 255 for key in keys)


async def test_a_repeated_request_has_the_same_key_and_another_has_not(scripted, script, account):
    order = an_order(account, request_id=str(uuid.uuid4()))
    script.on("POST", CREATE, Answer("", status=500))
    for each in (order, order, replace(order, request_id=""), replace(order, request_id="")):
        await asyncio.gather(scripted.create(each), return_exceptions=True)

    keys = [call.headers["Idempotency-Key"] for call in script.calls if call.path == CREATE]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


async def test_a_guard_that_cannot_ask_sells_nothing(scripted, script, account):
    script.on("GET", "/v1/subscriptions", Answer("", status=500))

    outcome = await asyncio.gather(scripted.create(an_order(account)), return_exceptions=True)

    assert isinstance(outcome[0], Exception)
    assert CREATE not in script.paths("POST")


async def test_a_customer_of_whose_deletion_nobody_told_is_replaced_once(scripted, script, account):
    script.on(
        "POST", CREATE, missing("customer", status=400), Answer(SESSION | {"customer": "cus_2"})
    )
    script.on("POST", "/v1/customers", Answer({"id": "cus_1"}), Answer({"id": "cus_2"}))

    offer = await scripted.create(an_order(account))

    assert offer.session["customer"] == "cus_2"
    sent = [call.params["customer"] for call in script.calls if call.path == CREATE]
    assert sent == ["cus_1", "cus_2"]


async def test_a_creation_that_gave_a_deleted_customer_again_is_made_good(
    scripted, script, account
):
    script.on("POST", "/v1/customers", Answer({"id": "cus_1"}), Answer({"id": "cus_2"}))
    script.on("POST", "/v1/customers/cus_1", missing("id"))
    script.on("POST", "/v1/customers/cus_2", Answer({"id": "cus_2"}))
    script.on("POST", CREATE, missing("customer", status=400), Answer(SESSION))

    offer = await scripted.create(an_order(account, customer_email="jenny@example.com"))

    assert offer.session["id"] == "cs_test_1"
    assert "/v1/customers/cus_2" in script.paths("POST")


async def test_customers_that_vanish_one_after_the_other_end_the_call(scripted, script, account):
    script.on("POST", CREATE, missing("customer", status=400))
    script.on("POST", "/v1/customers", Answer({"id": "cus_1"}), Answer({"id": "cus_2"}))

    with pytest.raises(StripeMisconfigured):
        await scripted.create(an_order(account))

    assert script.paths("POST").count(CREATE) == 2


@pytest.mark.parametrize("status", ["hibernating", "unpaid", "paused", "past_due", "trialing"])
async def test_whatever_may_be_paid_again_is_held(scripted, script, account, status):
    item = {"id": "si_1", "price": {"id": "price_1", "product": "prod_1"}, "quantity": 1}
    held = {
        "id": "sub_1",
        "customer": "cus_1",
        "status": status,
        "created": 1,
        "items": {"data": [item], "has_more": False},
    }
    script.on("GET", "/v1/subscriptions", listed(held))
    script.on("GET", "/v1/invoices", listed())

    with pytest.raises(AlreadySubscribed):
        await scripted.create(an_order(account))

    assert CREATE not in script.paths("POST")


async def test_an_archived_price_is_not_sold(scripted, script, account):
    archived = {"id": "price_1", "active": False, "product": "prod_1"}
    script.on("GET", "/v1/prices/price_1", Answer(archived))

    with pytest.raises(PriceNotFound):
        await scripted.create(an_order(account, "price_1"))


async def test_a_cancelled_call_leaves_the_account_free_for_the_next(
    scripted, script, account, database
):
    script.on("POST", CREATE, Answer(held=asyncio.Event()))
    task = asyncio.create_task(scripted.create(an_order(account)))
    async with asyncio.timeout(5):
        while CREATE not in script.paths("POST"):
            await asyncio.sleep(0.01)
    locked = not await Lease(database, f"checkout:{account}").acquire()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    script.on("POST", CREATE, Answer(SESSION))

    async with asyncio.timeout(3):
        offer = await scripted.create(an_order(account))

    assert locked
    assert offer.session["id"] == "cs_test_1"
