"""A merchant with the official SDK, and the hands of its customers."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import stripe
from aiohttp import web

from tests.emulator.checked import answer_findings

KEY = "sk_test_paidup_example"
GOOD = "4242424242424242"
NO_FUNDS = "4000000000009995"
DECLINED = "4000000000000002"
FAILS_LATER = "4000000000000341"
DAY = 24 * 60 * 60
HOUR = 60 * 60


def client(url: str, http_client: Any) -> stripe.StripeClient:
    return stripe.StripeClient(
        KEY, base_addresses={"api": url}, http_client=http_client, max_network_retries=2
    )


class Shop:
    def __init__(
        self, url: str, stripe_client: stripe.StripeClient, web_session: Any, found: list[str]
    ) -> None:
        self.url = url
        #: What was wrong with answers, for the fixture to look at in the end.
        self.found = found
        self.stripe = stripe_client.v1
        self.client = stripe_client
        self._web: aiohttp.ClientSession = web_session

    async def control(
        self, path: str, body: Any = None, *, method: str = "POST", status: int = 200
    ) -> Any:
        async with self._web.request(method, f"{self.url}/_emulator{path}", json=body) as response:
            answer = await response.json()
            assert response.status == status, answer
            return answer

    async def raw(self, method: str, path: str, **options: Any) -> aiohttp.ClientResponse:
        headers = {"Authorization": f"Bearer {KEY}", **options.pop("headers", {})}
        response = await self._web.request(method, self.url + path, headers=headers, **options)
        content = await response.read()
        if path.startswith("/v1/") and method != "HEAD":
            self.found += answer_findings(response.status, content)
        return response

    async def pay(self, session_id: str, number: str | None = GOOD, **answers: Any) -> Any:
        body = {"email": "ada@example.com", "number": number, **answers}
        return await self.control(f"/checkout/{session_id}/pay", body)

    async def advance(self, seconds: int) -> Any:
        return await self.control("/clock/advance", {"seconds": seconds})

    async def now(self) -> int:
        clock = await self.control("/clock", method="GET")
        return int(clock["now"])

    async def product(self, *lookup_keys: str, name: str = "Pro") -> Any:
        product = await self.stripe.products.create_async({"name": name})
        for lookup_key in lookup_keys:
            feature = await self.stripe.entitlements.features.create_async(
                {"name": lookup_key.title(), "lookup_key": lookup_key}
            )
            await self.stripe.products.features.create_async(
                product.id, {"entitlement_feature": feature.id}
            )
        return product

    async def price(self, product: Any = None, amount: int = 1000, **params: Any) -> Any:
        product = product or await self.product()
        return await self.stripe.prices.create_async(
            {
                "product": product.id,
                "currency": "usd",
                "unit_amount": amount,
                "recurring": {"interval": "month"},
                **params,
            }
        )

    async def session(self, price: Any = None, **params: Any) -> Any:
        price = price or await self.price()
        return await self.stripe.checkout.sessions.create_async(
            {
                "mode": "subscription",
                "ui_mode": "embedded_page",
                "return_url": "https://example.com/?session_id={CHECKOUT_SESSION_ID}",
                "line_items": [{"price": price.id, "quantity": 1}],
                **params,
            }
        )

    async def subscribe(self, price: Any = None, number: str = GOOD, **params: Any) -> Any:
        """Buy through Checkout, and give the subscription."""
        session = await self.session(price, **params)
        assert (await self.pay(session.id, number))["outcome"] == "complete"
        paid = await self.stripe.checkout.sessions.retrieve_async(session.id)
        return await self.subscription(paid.subscription)

    async def subscription(self, subscription_id: str) -> Any:
        return await self.stripe.subscriptions.retrieve_async(subscription_id)

    async def portal(self, customer_id: str, **params: Any) -> str:
        session = await self.stripe.billing_portal.sessions.create_async(
            {"customer": customer_id, **params}
        )
        return session.id

    async def events(self, **params: Any) -> list[Any]:
        """List them oldest first."""
        page = await self.stripe.events.list_async({"limit": 100, **params})
        return [event async for event in page.auto_paging_iter()][::-1]

    async def event_types(self, **params: Any) -> list[str]:
        return [event.type for event in await self.events(**params)]


@dataclass
class Receiver:
    """A webhook endpoint that verifies signatures with the SDK."""

    url: str = ""
    secret: str = "whsec_receiver"
    events: list[stripe.Event] = field(default_factory=list)
    #: How to answer, given how many deliveries there were before.
    answer: Callable[[int], int] = lambda _count: 200
    deliveries: int = 0
    signatures: list[str] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        signature = request.headers["Stripe-Signature"]
        event = stripe.Webhook.construct_event(body, signature, self.secret)
        status = self.answer(self.deliveries)
        self.deliveries += 1
        self.signatures.append(signature)
        if status == 200:
            self.events.append(event)
        self._changed.set()
        return web.Response(status=status)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.events]
