"""
The same calls, to the emulator and to Stripe's own test mode, with the same outcomes.

Stripe is asked only where PAIDUP_TEST_STRIPE_KEY holds a test key; what is made there is
deleted or canceled again, and its name begins with "paidup side by side".
"""

import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from stripe_emulator.events import API_VERSION
from tests.emulator.checked import answer_findings
from tests.emulator.shop import KEY

VARIABLE = "PAIDUP_TEST_STRIPE_KEY"
STRIPE = "https://api.stripe.com"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
TIMEOUT = aiohttp.ClientTimeout(total=60)


@dataclass(frozen=True, kw_only=True)
class Call:
    request: str
    form: dict[str, str] = field(default_factory=dict)
    #: The status, and of a refusal its code and parameter where Stripe's are known.
    outcome: tuple[Any, ...] = (200,)
    #: What the answer says, by field.
    says: dict[str, Any] = field(default_factory=dict)
    #: Under which name later calls find the answer's id.
    keep: str = ""


NAME = "paidup side by side"
SCRIPT = (
    Call(request="POST /v1/products", form={"name": NAME}, says={"active": True}, keep="product"),
    Call(
        request="POST /v1/prices",
        form={"product": "{product}", "currency": "usd", "unit_amount": "1000",
              "recurring[interval]": "month"},
        says={"unit_amount_decimal": "1000", "type": "recurring"},
        keep="price",
    ),
    Call(
        request="POST /v1/customers",
        form={"name": NAME, "payment_method": "pm_card_visa",
              "invoice_settings[default_payment_method]": "pm_card_visa"},
        says={"livemode": False, "email": None},
        keep="customer",
    ),
    Call(
        request="POST /v1/customers",
        form={"nmae": "x"},
        outcome=(400, "parameter_unknown", "nmae"),
    ),
    Call(
        request="GET /v1/customers/cus_paidup_nobody",
        outcome=(404, "resource_missing", "id"),
    ),
    Call(
        request="POST /v1/prices",
        form={"product": "{product}", "currency": "usd", "unit_amount": "one"},
        outcome=(400, "parameter_invalid_integer", "unit_amount"),
    ),
    Call(
        request="POST /v1/checkout/sessions",
        form={"mode": "subscription", "ui_mode": "embedded", "line_items[0][price]": "{price}",
              "line_items[0][quantity]": "1", "return_url": "https://example.com"},
        outcome=(400, None, "ui_mode"),
    ),
    Call(
        request="POST /v1/checkout/sessions",
        form={"mode": "subscription", "ui_mode": "embedded_page",
              "payment_method_types[0]": "card", "line_items[0][price]": "{price}",
              "line_items[0][quantity]": "1", "return_url": "https://example.com"},
        outcome=(400, "parameter_unknown", "payment_method_types"),
    ),
    Call(
        request="POST /v1/checkout/sessions",
        form={"mode": "subscription", "ui_mode": "embedded_page", "line_items[0][price]": "{price}",
              "line_items[0][quantity]": "1", "return_url": "https://example.com"},
        says={"status": "open", "payment_status": "unpaid", "url": None, "subscription": None},
        keep="session",
    ),
    Call(
        request="POST /v1/checkout/sessions/{session}/expire",
        says={"status": "expired"},
    ),
    Call(
        request="POST /v1/subscriptions",
        form={"customer": "{customer}", "items[0][price]": "{price}"},
        says={"status": "active", "cancel_at": None, "collection_method": "charge_automatically"},
        keep="subscription",
    ),
    Call(
        request="POST /v1/subscriptions/{subscription}",
        form={"cancel_at_period_end": "true"},
        says={"status": "active", "cancel_at_period_end": True},
    ),
    Call(request="DELETE /v1/subscriptions/{subscription}", says={"status": "canceled"}),
    Call(
        request="DELETE /v1/subscriptions/{subscription}",
        outcome=(404, "resource_missing", "id"),
    ),
    Call(request="GET /v1/subscriptions?customer={customer}&limit=0", outcome=(400,)),
    Call(
        request="GET /v1/customers/{customer}?expand[]=nothing",
        outcome=(400,),
    ),
    Call(request="DELETE /v1/customers/{customer}", says={"deleted": True}),
    Call(request="POST /v1/products/{product}", form={"active": "false"}, says={"active": False}),
)  # fmt: skip


@dataclass(kw_only=True)
class Side:
    url: str
    key: str = field(repr=False)
    web: aiohttp.ClientSession
    kept: dict[str, str] = field(default_factory=dict)

    async def ask(self, call: Call) -> tuple[int, bytes, Any]:
        method, _, path = self._filled(call.request).partition(" ")
        form = urlencode({name: self._filled(value) for name, value in call.form.items()})
        headers = {"Authorization": f"Bearer {self.key}", "Stripe-Version": API_VERSION}
        async with self.web.request(
            method, self.url + path, data=form or None, headers=headers | FORM
        ) as response:
            body = await response.json()
            if call.keep and response.status == 200:
                self.kept[call.keep] = body["id"]
            return response.status, await response.read(), body

    def _filled(self, text: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda match: self.kept.get(match[1], match[0]), text)


@pytest.fixture(params=["emulator", "stripe"])
async def side(request: pytest.FixtureRequest, emulator: str) -> AsyncIterator[Side]:
    key = KEY if request.param == "emulator" else os.environ.get(VARIABLE, "")
    if not key:
        pytest.skip(f"{VARIABLE} is not set: Stripe's test mode is not asked.")
    if not key.startswith(("sk_test_", "rk_test_")):
        pytest.fail(f"{VARIABLE} takes a test key.", pytrace=False)
    url = emulator if request.param == "emulator" else STRIPE
    async with aiohttp.ClientSession(timeout=TIMEOUT) as web:
        yield Side(url=url, key=key, web=web)


async def test_each_call_has_the_same_outcome(side: Side) -> None:
    for call in SCRIPT:
        status, content, body = await side.ask(call)

        assert _outcome(status, body)[: len(call.outcome)] == call.outcome, (call.request, body)
        assert {name: body.get(name) for name in call.says} == call.says, call.request
        assert answer_findings(status, content) == [], call.request


def _outcome(status: int, body: Any) -> tuple[Any, ...]:
    if status == 200:
        return (200,)
    return status, body["error"].get("code"), body["error"].get("param")
