import asyncio
import base64
import time
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import stripe

from tests.emulator.shop import DAY, KEY, Shop, client


@pytest.mark.parametrize("key", ["sk_live_x", "pk_test_x", "nonsense"])
async def test_only_secret_test_keys_are_accepted(emulator: str, key: str) -> None:
    http_client = stripe.AIOHTTPClient()
    wrong = stripe.StripeClient(key, base_addresses={"api": emulator}, http_client=http_client)

    with pytest.raises(stripe.AuthenticationError, match="Invalid API Key") as refused:
        await wrong.v1.accounts.retrieve_current_async()

    await http_client.close_async()
    assert refused.value.http_status == 401


async def test_a_restricted_test_key_is_accepted(emulator: str) -> None:
    http_client = stripe.AIOHTTPClient()
    restricted = stripe.StripeClient(
        "rk_test_x", base_addresses={"api": emulator}, http_client=http_client
    )

    account = await restricted.v1.accounts.retrieve_current_async()

    await http_client.close_async()
    assert account.id.startswith("acct_")


async def test_a_call_without_a_key_gets_stripes_body(shop: Shop) -> None:
    response = await shop.raw("GET", "/v1/account", headers={"Authorization": ""})

    body = await response.json()
    assert response.status == 401
    assert body["error"]["type"] == "invalid_request_error"
    assert "You did not provide an API key" in body["error"]["message"]


@pytest.mark.parametrize(
    ("credentials", "status"), [(f"{KEY}:", 200), ("sk_live_x:", 401), ("\xff", 401), ("", 401)]
)
async def test_a_key_may_come_as_curl_sends_it(shop: Shop, credentials: str, status: int) -> None:
    encoded = base64.b64encode(credentials.encode("latin-1")).decode()

    response = await shop.raw("GET", "/v1/account", headers={"Authorization": f"Basic {encoded}"})

    assert response.status == status


async def test_the_sync_client_works_too(shop: Shop) -> None:
    sync = client(shop.url, stripe.RequestsClient())

    customer = await asyncio.to_thread(sync.v1.customers.create, {"name": "Ada"})
    again = await asyncio.to_thread(sync.v1.customers.retrieve, customer.id)

    assert again.name == "Ada"


async def test_the_account_stays_the_same(shop: Shop) -> None:
    before = await shop.stripe.accounts.retrieve_current_async()
    await shop.control("/reset")
    after = await shop.stripe.accounts.retrieve_current_async()

    assert before.id == after.id


async def test_another_api_version_is_refused(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await shop.stripe.customers.list_async({}, {"stripe_version": "2020-08-27"})

    assert "speaks 2026-10-28.endive only" in str(refused.value)


async def test_answers_carry_a_request_id_and_the_simulated_date(shop: Shop) -> None:
    await shop.advance(400 * DAY)

    response = await shop.raw("GET", "/v1/account")

    date = parsedate_to_datetime(response.headers["Date"])
    assert response.headers["Request-Id"].startswith("req_")
    assert response.headers["Date"].endswith("GMT")
    assert response.headers["Stripe-Version"] == "2026-10-28.endive"
    assert abs(date.timestamp() - time.time() - 400 * DAY) < 5


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing_here", 404),
        ("GET", "/nothing_here", 404),
        ("DELETE", "/v1/invoices", 405),
        ("GET", "/v1/customers/cus_none", 404),
        ("POST", "/v1/subscriptions/sub_none", 404),
        ("DELETE", "/v1/subscriptions/sub_none", 404),
    ],
)
async def test_what_is_not_there_gets_stripes_body(
    shop: Shop, method: str, path: str, status: int
) -> None:
    response = await shop.raw(method, path)

    body = await response.json()
    assert response.status == status
    assert body["error"]["type"] == "invalid_request_error"
    assert None not in body["error"].values()


async def test_a_missing_object_is_named(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="No such customer: 'cus_none'") as missing:
        await shop.stripe.customers.retrieve_async("cus_none")

    assert (missing.value.code, missing.value.param) == ("resource_missing", "id")


@pytest.mark.parametrize(
    ("params", "message", "param"),
    [
        ({"nmae": "x"}, "Received unknown parameter: nmae", "nmae"),
        (
            {"address": {"town": "x", "city": "y"}},
            r"Received unknown parameter: address\[town\]",
            "address[town]",
        ),
        ({"a": 1, "b": 2}, "Received unknown parameters: a, b", "a"),
        ({"tax_exempt": "maybe"}, "Invalid tax_exempt: must be one of", "tax_exempt"),
        ({"balance": "much"}, "Invalid integer: much", "balance"),
        ({"validate": "maybe"}, "Invalid boolean: maybe", "validate"),
        ({"name": ""}, "You passed an empty string for 'name'", "name"),
        ({"metadata": "x"}, "Invalid object", "metadata"),
        ({"preferred_locales": "en"}, "Invalid array", "preferred_locales"),
        ({"email": "nobody"}, "Invalid email address", "email"),
        ({"metadata": {f"k{n}": "v" for n in range(51)}}, "up to 50 metadata keys", "metadata"),
        ({"metadata": {"k" * 41: "v"}}, "at most 40 characters", "metadata"),
    ],
)
async def test_parameters_are_checked_against_the_sdks_types(
    shop: Shop, params: Any, message: str, param: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError, match=message) as refused:
        await shop.stripe.customers.create_async(params)

    assert refused.value.http_status == 400
    assert refused.value.param == param


@pytest.mark.parametrize(
    "body",
    [
        "line_items[0][price]={price}&line_items[0][quantity]=2",
        "line_items[][price]={price}&line_items[][quantity]=2",
        "line_items%5B0%5D%5Bprice%5D={price}&line_items%5B0%5D%5Bquantity%5D=2",
        "line_items[7][price]={price}&line_items[7][quantity]=2",
    ],
)
async def test_every_way_to_write_brackets_is_read(shop: Shop, body: str) -> None:
    price = await shop.price()
    fixed = "mode=subscription&success_url=https://example.com&"

    response = await shop.raw(
        "POST",
        "/v1/checkout/sessions",
        data=fixed + body.format(price=price.id),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )

    assert (await response.json())["amount_total"] == 2000


async def test_an_idempotent_request_is_executed_once(shop: Shop) -> None:
    options: Any = {"idempotency_key": "one"}

    first = await shop.stripe.customers.create_async({"name": "Ada"}, options)
    second = await shop.stripe.customers.create_async({"name": "Ada"}, options)

    headers = second.last_response.headers
    assert first.id == second.id
    assert headers["Idempotent-Replayed"] == "true"
    assert headers["Original-Request"] == first.last_response.request_id
    assert "Idempotent-Replayed" not in first.last_response.headers
    assert len((await shop.stripe.customers.list_async()).data) == 1


async def test_a_key_cannot_be_used_for_something_else(shop: Shop) -> None:
    options: Any = {"idempotency_key": "one"}
    await shop.stripe.customers.create_async({"name": "Ada"}, options)

    with pytest.raises(stripe.IdempotencyError) as refused:
        await shop.stripe.customers.create_async({"name": "Grace"}, options)

    assert refused.value.http_status == 400


async def test_a_key_is_free_again_after_a_day(shop: Shop) -> None:
    options: Any = {"idempotency_key": "one"}
    first = await shop.stripe.customers.create_async({"name": "Ada"}, options)

    await shop.advance(DAY)
    second = await shop.stripe.customers.create_async({"name": "Ada"}, options)

    assert first.id != second.id


async def test_a_validation_failure_does_not_use_its_key_up(shop: Shop) -> None:
    options: Any = {"idempotency_key": "one"}
    with pytest.raises(stripe.InvalidRequestError):
        await shop.stripe.customers.create_async({"nmae": "Ada"}, options)  # type: ignore[typeddict-unknown-key]

    customer = await shop.stripe.customers.create_async({"name": "Ada"}, options)

    assert customer.name == "Ada"


async def test_a_failure_of_the_endpoint_is_replayed(shop: Shop) -> None:
    options: Any = {"idempotency_key": "one"}
    params: Any = {"currency": "usd", "unit_amount": 1, "product": "prod_late"}
    with pytest.raises(stripe.InvalidRequestError):
        await shop.stripe.prices.create_async(params, options)
    await shop.stripe.products.create_async({"id": "prod_late", "name": "Late"})

    with pytest.raises(stripe.InvalidRequestError, match="No such product") as replayed:
        await shop.stripe.prices.create_async(params, options)

    assert replayed.value.headers["Idempotent-Replayed"] == "true"


async def test_a_key_in_use_is_a_conflict(shop: Shop) -> None:
    await shop.control("/faults", {"api": {"delay_seconds": 0.5}}, method="PUT")
    slow = asyncio.create_task(
        shop.raw("POST", "/v1/customers", headers={"Idempotency-Key": "one"})
    )
    await asyncio.sleep(0)

    second = await shop.raw("POST", "/v1/customers", headers={"Idempotency-Key": "one"})
    first = await slow

    conflict = second if second.status == 409 else first
    assert sorted((first.status, second.status)) == [200, 409]
    assert (await conflict.json())["error"]["code"] == "idempotency_key_in_use"


async def test_injected_failures_are_retried_by_the_client(shop: Shop) -> None:
    await shop.control("/faults", {"api": {"status": 503, "next": 1}}, method="PUT")

    customer = await shop.stripe.customers.create_async({"name": "Ada"})

    faults = await shop.control("/faults", method="GET")
    assert customer.name == "Ada"
    assert faults["api"]["next"] == 0


async def test_an_injected_rate_limit_looks_like_one(shop: Shop) -> None:
    await shop.control("/faults", {"api": {"status": 429, "next": 1}}, method="PUT")

    with pytest.raises(stripe.RateLimitError):
        await shop.stripe.customers.list_async()

    assert (await shop.stripe.customers.list_async()).data == []


@pytest.mark.parametrize(
    "body",
    [
        {"weather": {}},
        {"api": {"status": 200, "next": 1}},
        {"api": {"next": "3"}},
        {"webhooks": {"blocked": 1}},
        {"webhooks": True},
    ],
)
async def test_faults_that_do_not_exist_are_refused(shop: Shop, body: Any) -> None:
    answer = await shop.control("/faults", body, method="PUT", status=400)

    assert answer["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "body",
    [{"after_last_retry": "nothing"}, {"retry_after_days": [0]}, {"retry_after_days": 3}, {"x": 1}],
)
async def test_settings_that_do_not_exist_are_refused(shop: Shop, body: Any) -> None:
    before = await shop.control("/settings", method="GET")

    await shop.control("/settings", body, method="PUT", status=400)

    assert await shop.control("/settings", method="GET") == before


@pytest.mark.parametrize("seconds", [-1, 1.5, "60", None, 10**12, True])
async def test_the_clock_only_goes_forward(shop: Shop, seconds: Any) -> None:
    await shop.control("/clock/advance", {"seconds": seconds}, status=400)

    assert (await shop.control("/clock", method="GET"))["offset"] == 0


async def test_expansion_reaches_into_lists_and_objects(shop: Shop) -> None:
    subscription = await shop.subscribe()

    page = await shop.stripe.subscriptions.list_async(
        {"expand": ["data.customer", "data.latest_invoice.payments"]}
    )
    one: Any = await shop.stripe.subscriptions.retrieve_async(
        subscription.id,
        {"expand": ["items.data.price.product", "default_payment_method", "latest_invoice"]},
    )

    listed: Any = page.data[0]
    assert listed.customer.email == "ada@example.com"
    assert listed.latest_invoice.payments.data[0].status == "paid"
    assert one["items"].data[0].price.product.name == "Pro"
    assert one.default_payment_method.card.last4 == "4242"
    assert one.latest_invoice.status == "paid"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("status", r"This property cannot be expanded \(status\)"),
        ("nothing", r"This property cannot be expanded \(nothing\)"),
        ("items.data.price.unit_amount", "cannot be expanded"),
        ("items.price", r"try expanding 'data\.items\.price'"),
        ("latest_invoice.customer.subscriptions.data.customer", "more than 4 levels"),
    ],
)
async def test_what_cannot_be_expanded_is_refused(shop: Shop, path: str, message: str) -> None:
    subscription = await shop.subscribe()

    with pytest.raises(stripe.InvalidRequestError, match=message) as refused:
        await shop.stripe.subscriptions.retrieve_async(subscription.id, {"expand": [path]})

    assert refused.value.http_status == 400


async def test_a_null_can_be_expanded(shop: Shop) -> None:
    session = await shop.session(expand=["customer", "subscription.latest_invoice"])

    assert session.customer is None
    assert session.subscription is None


async def _customers(shop: Shop, count: int) -> list[str]:
    names = [str(number) for number in range(count)]
    for name in names:
        await shop.stripe.customers.create_async({"name": name})
    return names


async def test_lists_are_newest_first_and_page_by_cursor(shop: Shop) -> None:
    await _customers(shop, 5)

    first = await shop.stripe.customers.list_async({"limit": 2})
    second = await shop.stripe.customers.list_async(
        {"limit": 2, "starting_after": first.data[-1].id}
    )
    back = await shop.stripe.customers.list_async({"limit": 1, "ending_before": second.data[0].id})

    assert [customer.name for customer in first] == ["4", "3"]
    assert [customer.name for customer in second] == ["2", "1"]
    assert [customer.name for customer in back] == ["3"]
    assert (first.has_more, second.has_more, back.has_more) == (True, True, True)
    assert first.url == "/v1/customers"


async def test_auto_paging_walks_both_ways(shop: Shop) -> None:
    names = await _customers(shop, 7)
    oldest = (await shop.stripe.customers.list_async({"limit": 100})).data[-1]

    newest_first = await shop.stripe.customers.list_async({"limit": 3})
    oldest_first = await shop.stripe.customers.list_async({"limit": 3, "ending_before": oldest.id})

    backward = [customer.name async for customer in newest_first.auto_paging_iter()]
    forward = [customer.name async for customer in oldest_first.auto_paging_iter()]
    assert backward == names[::-1]
    assert forward == names[1:]


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"starting_after": "cus_none"}, "starting_after"),
        ({"ending_before": "cus_none"}, "ending_before"),
    ],
)
async def test_impossible_pages_are_refused(shop: Shop, params: Any, param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await shop.stripe.customers.list_async(params)

    assert refused.value.param == param


async def test_events_are_filtered_by_type_and_time(shop: Shop) -> None:
    await shop.product()
    await shop.advance(DAY)
    await shop.price()
    middle = await shop.now() - DAY // 2

    by_type = await shop.event_types(type="product.created")
    by_wildcard = await shop.event_types(type="p*")
    by_types = await shop.event_types(types=["price.created", "customer.created"])
    later = await shop.event_types(created={"gt": middle})
    earlier = await shop.event_types(created={"lte": middle})

    assert by_type == ["product.created", "product.created"]
    assert by_wildcard == ["product.created", "product.created", "price.created"]
    assert by_types == ["price.created"]
    assert later == ["product.created", "price.created"]
    assert earlier == ["product.created"]


async def test_events_are_listed_for_thirty_days_and_kept_longer(shop: Shop) -> None:
    await shop.product()
    (event,) = await shop.events()

    await shop.advance(31 * DAY)

    assert await shop.events() == []
    assert (await shop.stripe.events.retrieve_async(event.id)).type == "product.created"


async def test_reset_forgets_everything(shop: Shop) -> None:
    await shop.subscribe()
    await shop.advance(DAY)
    await shop.control("/faults", {"api": {"next": 5}}, method="PUT")

    await shop.control("/reset")

    clock = await shop.control("/clock", method="GET")
    assert clock["offset"] == 0
    assert (await shop.stripe.customers.list_async()).data == []
    assert await shop.events() == []
    assert (await shop.stripe.webhook_endpoints.list_async()).data == []


async def test_the_control_surface_wants_json(shop: Shop) -> None:
    response = await shop.raw("POST", "/_emulator/clock/advance", data=b"seconds=5")

    assert response.status == 400
    assert KEY not in await response.text()


async def test_what_is_due_happens_without_being_asked(shop: Shop) -> None:
    session = await shop.session(expires_at=await shop.now() + 1801)

    await shop.advance(1800)
    async with asyncio.timeout(10):
        while not await shop.events(type="checkout.session.expired"):
            await asyncio.sleep(0.05)

    expired = await shop.stripe.checkout.sessions.retrieve_async(session.id)
    assert expired.status == "expired"
