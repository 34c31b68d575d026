"""Whatever is sent, the answer is Stripe's, and never an accident."""

import io
import re
from decimal import Decimal
from typing import Any
from urllib.parse import quote, quote_plus

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from stripe_emulator import parameters
from stripe_emulator.api import FORM, ROUTES
from stripe_emulator.routing import Route
from tests.emulator.checked import answer_findings
from tests.emulator.shop import DAY, KEY, Shop

POSTS = sorted(route.path for route in ROUTES if route.method == "POST")
GETS = sorted(route.path for route in ROUTES if route.method == "GET")

NAMES = """
    customer items line_items price quantity metadata expand mode ui_mode return_url
    success_url subscription_data trial_end trial_period_days cancel_at cancel_at_period_end
    features name lookup_key currency unit_amount recurring interval limit created
    starting_after email address flow_data type url enabled_events product id price_data
    custom_text submit message payment_method invoice_settings status
"""
names = st.sampled_from(NAMES.split())
segments = st.lists(
    st.one_of(names, st.sampled_from(["", "0", "1", "00", "-1", "gte"]), st.text(max_size=3)),
    max_size=4,
)
values = st.one_of(
    st.sampled_from(
        [
            "", "0", "-1", "1", "99999999999999999999", "9223372036854775807", "true", "false",
            "usd", "month", "subscription", "embedded_page", "https://example.com", "now", "NaN",
            "1e400", "{customer}", "{price}", "{subscription}", "{session}", "max_period_end",
            "data.customer", "pm_card_visa", "subscription_cancel", "*", "all", "\u0661", "1_0",
        ]
    ),
    st.text(max_size=20),
)  # fmt: skip
forms = st.lists(st.tuples(names, segments, values), max_size=8)


SCALARS = {
    int: st.sampled_from(["0", "1", "3", "-1", "100", "{soon}", "9223372036854775807"]),
    bool: st.sampled_from(["true", "false"]),
    float: st.sampled_from(["0.5", "-1", "1e300"]),
    Decimal: st.sampled_from(["0.5", "1e-30", "1e300", "-0"]),
    str: st.sampled_from(
        [
            "usd",
            "x",
            "https://example.com",
            "a@example.com",
            "pm_card_visa",
            "{customer}",
            "{price}",
            "{product}",
            "{subscription}",
            "{item}",
            "{invoice}",
            "{payment_method}",
        ]
    ),
}


@st.composite
def well_typed(draw: st.DrawFn, accepts: Any, path: str = "", depth: int = 3) -> list[Any]:
    """Draw a form that fits the SDK's types, and so comes past the checks of them."""
    known = dict(parameters.annotations_of(accepts))
    known.pop("expand", None)
    chosen = draw(st.sets(st.sampled_from(sorted(known)), max_size=4)) if known else set()
    chosen |= parameters.required_of(accepts)
    return [
        pair
        for name in sorted(chosen)
        for pair in _typed(draw, parameters.shape_of(known[name]), _join(path, name), depth)
    ]


def _typed(draw: st.DrawFn, shape: parameters.Shape, path: str, depth: int) -> list[Any]:
    plain = [st.sampled_from(sorted(shape.literals))] if shape.literals else []
    plain += [] if shape.literals else [SCALARS[one] for one in SCALARS if one in shape.scalars]
    if depth == 0 or (plain and draw(st.booleans())):
        return [(path, draw(st.one_of(plain)) if plain else "")]
    if shape.element is not None:
        inner = parameters.shape_of(shape.element)
        count = draw(st.integers(1, 2))
        return [pair for n in range(count) for pair in _typed(draw, inner, f"{path}[{n}]", depth)]
    if shape.fields is not None:
        return draw(well_typed(shape.fields, path, depth - 1))
    if shape.value is not None:
        return _typed(draw, parameters.shape_of(shape.value), f"{path}[k]", depth - 1)
    return [(path, draw(st.one_of(plain)) if plain else "")]


def _join(path: str, name: str) -> str:
    return f"{path}[{name}]" if path else name


#: What makes most of the calls succeed, were it not for the rest of the form.
SENSIBLE = {
    "/v1/checkout/sessions": {
        "mode": "subscription",
        "success_url": "https://example.com",
        "line_items[0][price]": "{price}",
    },
    "/v1/prices": {"currency": "usd", "product": "{product}", "unit_amount": "5"},
    "/v1/subscriptions": {"customer": "{customer}", "items[0][price]": "{price}"},
    "/v1/billing_portal/sessions": {"customer": "{customer}"},
    "/v1/products": {"name": "x"},
}


class Target:
    """One shop, filled once, for all examples."""

    def __init__(self, url: str, web: aiohttp.ClientSession, ids: dict[str, str]) -> None:
        self.url = url
        self.web = web
        self.ids = ids

    def fill(self, text: str) -> str:
        for name, value in self.ids.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    async def status(self, method: str, path: str, **options: Any) -> int:
        """Call, and make sure that the answer is as Stripe's, and a refusal says why."""
        headers = {"Authorization": f"Bearer {KEY}", **options.pop("headers", {})}
        async with self.web.request(
            method, self.url + self.fill(path), headers=headers, **options
        ) as response:
            content = await response.read()
            if path.startswith("/v1/"):
                assert answer_findings(response.status, content) == [], (method, path)
            body = await response.json()
            assert response.status == 200 or body["error"]["message"], (method, path, body)
            return response.status


@pytest.fixture
async def target(shop: Shop) -> Target:
    price = await shop.price(await shop.product("reports"))
    subscription = await shop.subscribe(price)
    (item,) = subscription["items"].data
    session = await shop.session(price)
    expired = await shop.session(price)
    await shop.stripe.checkout.sessions.expire_async(expired.id)
    canceled = await shop.subscribe(price)
    await shop.stripe.subscriptions.cancel_async(canceled.id)
    (event, *_) = await shop.events()
    (configuration,) = (await shop.stripe.billing_portal.configurations.list_async()).data
    (feature,) = (await shop.stripe.entitlements.features.list_async()).data
    endpoint = await shop.stripe.webhook_endpoints.create_async(
        {"url": "https://example.com", "enabled_events": ["price.deleted"]}
    )
    coupon = await shop.stripe.coupons.create_async({"percent_off": 10, "duration": "once"})
    promotion = await shop.stripe.promotion_codes.create_async(
        {"promotion": {"type": "coupon", "coupon": coupon.id}}
    )
    ids = {
        "coupon": coupon.id,
        "promotion_code": promotion.id,
        "customer": subscription.customer,
        "price": price.id,
        "product": price.product,
        "subscription": subscription.id,
        "item": item.id,
        "invoice": subscription.latest_invoice,
        "session": session.id,
        "configuration": configuration.id,
        "payment_method": subscription.default_payment_method,
        "endpoint": endpoint.id,
        "feature": feature.id,
        "expired": expired.id,
        "canceled": canceled.id,
        "event": event.id,
        "soon": str(await shop.now() + 5 * DAY),
    }
    return Target(shop.url, shop._web, ids)


#: What a path names: what fits it, nothing, something else, something that has ended.
objects = st.sampled_from(
    ["", "", "", "cus_nobody", "{customer}", "{expired}", "{canceled}", "%00"]
)


def _aimed(path: str, at: str) -> str:
    return re.sub(r"\{\w+\}", at, path) if at else path


def _encoded(target: Target, form: list[tuple[str, list[str], str]]) -> str:
    return "&".join(
        quote_plus(name + "".join(f"[{segment}]" for segment in path), errors="replace")
        + "="
        + quote_plus(target.fill(value), errors="replace")
        for name, path, value in form
    )


within_one_shop = settings(
    deadline=None,
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@within_one_shop
@given(path=st.sampled_from(POSTS), form=forms)
async def test_any_form_is_answered(
    target: Target, path: str, form: list[tuple[str, list[str], str]]
) -> None:
    status = await target.status(
        "POST",
        path,
        data=_encoded(target, form),
        headers={"Content-Type": FORM},
    )

    assert status < 500


@within_one_shop
@given(data=st.data(), route=st.sampled_from([one for one in ROUTES if one.method == "POST"]))
async def test_any_form_of_the_right_types_is_answered(
    target: Target, data: st.DataObject, route: Route
) -> None:
    drawn = dict(data.draw(well_typed(route.accepts)))
    form = [(name, [], value) for name, value in {**drawn, **SENSIBLE.get(route.path, {})}.items()]
    path = _aimed(route.path, data.draw(objects))
    status = await target.status(
        "POST", path, data=_encoded(target, form), headers={"Content-Type": FORM}
    )

    assert status < 500


@within_one_shop
@given(data=st.data(), route=st.sampled_from([one for one in ROUTES if one.method == "GET"]))
async def test_any_query_of_the_right_types_is_answered(
    target: Target, data: st.DataObject, route: Route
) -> None:
    drawn = data.draw(well_typed(route.accepts)) if route.accepts else []
    query = _encoded(target, [(name, [], value) for name, value in drawn])
    status = await target.status("GET", f"{_aimed(route.path, data.draw(objects))}?{query}")

    assert status < 500


@settings(within_one_shop, max_examples=100)
@given(data=st.data(), route=st.sampled_from([one for one in ROUTES if one.method == "DELETE"]))
async def test_any_deletion_is_answered(target: Target, data: st.DataObject, route: Route) -> None:
    drawn = data.draw(well_typed(route.accepts)) if route.accepts else []
    query = _encoded(target, [(name, [], value) for name, value in drawn])
    status = await target.status("DELETE", f"{_aimed(route.path, data.draw(objects))}?{query}")

    assert status < 500


@settings(within_one_shop, max_examples=50)
@given(
    data=st.data(),
    method=st.sampled_from(["GET", "POST", "DELETE", "PUT", "PATCH", "OPTIONS", "TRACE"]),
    path=st.text(st.characters(codec="utf-8"), max_size=30),
)
async def test_any_url_is_answered(
    target: Target, data: st.DataObject, method: str, path: str
) -> None:
    below = data.draw(st.sampled_from(["/v1/", "/v1/customers/", "/v1/subscriptions/", "/v2/"]))
    status = await target.status(method, URL(below + quote(path, safe=""), encoded=True).raw_path)

    assert status < 500


@within_one_shop
@given(path=st.sampled_from(GETS), form=forms)
async def test_any_query_is_answered(
    target: Target, path: str, form: list[tuple[str, list[str], str]]
) -> None:
    status = await target.status("GET", f"{path}?{_encoded(target, form)}")

    assert status < 500


@settings(within_one_shop, max_examples=100)
@given(
    path=st.sampled_from(POSTS),
    body=st.binary(max_size=60),
    content_type=st.sampled_from([FORM, "application/json", "text/plain; charset=x"]),
)
async def test_any_body_is_answered(
    target: Target, path: str, body: bytes, content_type: str
) -> None:
    status = await target.status("POST", path, data=body, headers={"Content-Type": content_type})

    assert status < 500


@settings(within_one_shop, max_examples=100)
@given(
    path=st.sampled_from(
        [
            "/_emulator/checkout/{session}/pay",
            "/_emulator/portal/{session}/cancel",
            "/_emulator/portal/{session}/update",
            "/_emulator/clock/advance",
            "/_emulator/events/{session}/resend",
        ]
    ),
    body=st.one_of(
        st.binary(max_size=20),
        st.dictionaries(
            st.sampled_from(["email", "number", "seconds", "price", "quantity", "immediately"]),
            st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=5)),
        ),
    ),
)
async def test_any_control_is_answered(target: Target, path: str, body: Any) -> None:
    options = {"data": body} if isinstance(body, bytes) else {"json": body}
    status = await target.status("POST", path, **options)

    assert status < 500


def _may_be_unset(route: Route) -> list[str]:
    known = parameters.annotations_of(route.accepts) if route.accepts else {}
    return [name for name in sorted(known) if "" in parameters.shape_of(known[name]).literals]


UNSET = [
    pytest.param(route, name, id=f"{route.path} {name}")
    for route in ROUTES
    if route.method == "POST"
    for name in _may_be_unset(route)
]


@pytest.mark.parametrize(("route", "name"), UNSET)
async def test_whatever_may_be_unset_is_unset(target: Target, route: Route, name: str) -> None:
    form = {**SENSIBLE.get(route.path, {}), name: ""}
    status = await target.status(
        "POST", route.path, data={k: target.fill(v) for k, v in form.items()}
    )

    assert status in (200, 400)


@pytest.mark.parametrize(
    "body",
    [
        "a[b=1",
        "]=1",
        "a[]b=1",
        "metadata=1&metadata[a]=2",
        "metadata[a]=2&metadata=1",
        "expand[]=a&expand[0]=b",
        "name=%ff",
        "&".join(f"metadata[{n}]=1" for n in range(3000)),
        "metadata" + "[a]" * 200 + "=1",
    ],
)
async def test_malformed_forms_are_refused(shop: Shop, body: str) -> None:
    response = await shop.raw(
        "POST",
        "/v1/customers",
        data=body,
        headers={"Content-Type": FORM},
    )

    assert response.status == 400
    assert (await response.json())["error"]["type"] == "invalid_request_error"


async def test_a_body_too_large_is_refused(shop: Shop) -> None:
    response = await shop.raw(
        "POST",
        "/v1/customers",
        data=io.BytesIO(b"name=" + b"x" * 2_000_000),
        headers={"Content-Type": FORM},
    )

    assert response.status == 413
    assert (await response.json())["error"]["type"] == "invalid_request_error"
