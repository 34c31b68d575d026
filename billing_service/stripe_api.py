"""Every call to Stripe that the service makes, with its limits.

One `StripeClient`, asyncio, explicit time-outs, retries by the SDK under one
idempotency key, a budget, a breaker. Nothing global of the SDK's is ever set. Raises
`StripeUnavailable` and `StripeMisconfigured`, and `StripeRefused` where the
request itself was wrong.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import stripe

from billing_service.breaker import Breaker
from billing_service.budget import Budget
from billing_service.errors import StripeUnavailable
from billing_service.metrics import STRIPE_CALLS
from billing_service.stripe_errors import is_outage, stripe_errors
from billing_service.stripe_http import TRIES, StripeHttp, Tries
from billing_service.stripe_reading import Reading, reading, timed
from subscription_state import tracing
from subscription_state.tracing import Span

PAGE = 100
#: The SDK's own retries of connection errors, 409 and 5xx.
NETWORK_RETRIES = 2
#: How long a call that somebody waits for may wait for the budget, in seconds.
PATIENCE = 10.0

Json = dict[str, Any]
T = TypeVar("T")


class LiveStripe:
    """Stripe, or the emulator where `api_base` says so."""

    def __init__(
        self,
        api_key: str,
        *,
        api_base: str,
        timeout: float = 10.0,
        budget: Budget | None = None,
    ) -> None:
        self._http = StripeHttp(timeout=timeout)
        self._client = stripe.StripeClient(
            api_key,
            base_addresses={"api": api_base},
            http_client=self._http,
            max_network_retries=NETWORK_RETRIES,
        )
        # A call's tries and the pauses between them, all together.
        self._limit = timeout * (NETWORK_RETRIES + 1) + 5
        self._breaker = Breaker()
        self._budget = budget or Budget()

    def in_background(self) -> "LiveStripe":
        """Give the same Stripe for work that nobody waits for: its calls let all others go first.

        It shares everything but the breaker with this one, which alone has to be closed.
        """
        return _InBackground(self)

    async def turn(self) -> None:
        """Wait until this is no longer held back for others; before a claim on anything."""

    async def close(self) -> None:
        await self._http.close_async()  # type: ignore[no-untyped-call] # the SDK does not type it

    async def account_id(self) -> str:
        account = await self._call("account", self._client.v1.accounts.retrieve_current_async())
        return str(account["id"])

    async def create_customer(self, params: Json, *, idempotency_key: str) -> Json:
        options: Any = {"idempotency_key": idempotency_key}
        create = self._client.v1.customers.create_async(_params(params), options)
        return await self._object("create_customer", create)

    async def update_customer(self, customer_id: str, params: Json) -> Json:
        update = self._client.v1.customers.update_async(customer_id, _params(params))
        return await self._object("update_customer", update)

    async def customer(self, customer_id: str) -> Json:
        retrieve = self._client.v1.customers.retrieve_async(customer_id)
        return await self._object("retrieve_customer", retrieve)

    async def price(self, price_id: str) -> Json:
        retrieve = self._client.v1.prices.retrieve_async(price_id)
        return await self._object("retrieve_price", retrieve)

    async def price_by_lookup_key(self, lookup_key: str) -> Json | None:
        found = await self._list(
            "list_prices", self._client.v1.prices, lookup_keys=[lookup_key], active=True
        )
        return found.objects[0] if found.objects else None

    async def prices(self) -> tuple[Json, ...]:
        return (await self._list("list_prices", self._client.v1.prices)).objects

    async def products(self) -> tuple[Json, ...]:
        """List all products, archived ones too: they may still be subscribed to."""
        return (await self._list("list_products", self._client.v1.products)).objects

    async def product_features(self, product_id: str) -> tuple[Json, ...]:
        features = _OfProduct(self._client.v1.products.features, product_id)
        return (await self._list("list_product_features", features)).objects

    async def features(self) -> tuple[Json, ...]:
        return (await self._list("list_features", self._client.v1.entitlements.features)).objects

    async def create_checkout_session(self, params: Json, *, idempotency_key: str) -> Json:
        options: Any = {"idempotency_key": idempotency_key}
        create = self._client.v1.checkout.sessions.create_async(_params(params), options)
        return await self._object("create_checkout_session", create)

    async def checkout_session(self, session_id: str) -> Json:
        retrieve = self._client.v1.checkout.sessions.retrieve_async(session_id)
        return await self._object("retrieve_checkout_session", retrieve)

    async def expire_checkout_session(self, session_id: str) -> Json:
        expire = self._client.v1.checkout.sessions.expire_async(session_id)
        return await self._object("expire_checkout_session", expire)

    async def create_portal_session(self, params: Json) -> Json:
        create = self._client.v1.billing_portal.sessions.create_async(_params(params))
        return await self._object("create_portal_session", create)

    async def subscriptions(self, customer_id: str) -> Reading:
        """List all subscriptions of a customer, ended ones too, with their latest invoice."""
        return await self._list(
            "list_subscriptions",
            self._client.v1.subscriptions,
            customer=customer_id,
            status="all",
            expand=["data.latest_invoice"],
        )

    async def subscription_items(self, subscription_id: str) -> Reading:
        """List all items of a subscription: one that was listed holds only the first."""
        return await self._list(
            "list_subscription_items",
            self._client.v1.subscription_items,
            subscription=subscription_id,
        )

    async def invoices(self, subscription_id: str, **filters: str) -> Reading:
        """List a subscription's invoices, newest first."""
        return await self._list(
            "list_invoices", self._client.v1.invoices, subscription=subscription_id, **filters
        )

    def customers(self) -> AsyncIterator[Reading]:
        """List all customers but deleted ones, page by page."""
        return self._pages("list_customers", self._client.v1.customers, {})

    def events(self, since: datetime | None) -> AsyncIterator[Reading]:
        """List events, newest first and page by page; Stripe has those of 30 days."""
        created = {"created": {"gte": int(since.timestamp())}} if since else {}
        return self._pages("list_events", self._client.v1.events, created)

    async def listed(self, operation: str, service: Any, **params: Any) -> Reading:
        """Make any other call that lists."""
        return await self._list(operation, service, **params)

    async def first(self, operation: str, service: Any) -> Reading:
        """List one object at most: enough to see whether the key may, and Stripe's clock."""
        listed, elapsed = await self._call(operation, timed(service.list_async, {"limit": 1}))
        return reading(tuple(_plain(each) for each in listed.data), listed, elapsed=elapsed)

    async def post(self, service: Any, method: str, *arguments: Any) -> Json:
        """Make any other call that changes something, as the catalogue needs many."""
        return await self._object(method, getattr(service, f"{method}_async")(*arguments))

    @property
    def v1(self) -> Any:
        return self._client.v1

    async def _object(self, operation: str, call: Awaitable[Any]) -> Json:
        return _plain(await self._call(operation, call))

    async def _list(self, operation: str, service: Any, **params: Any) -> Reading:
        pages = [page async for page in self._pages(operation, service, params)]
        return Reading(
            objects=tuple(each for page in pages for each in page.objects),
            start=pages[0].start,
            end=pages[-1].end,
        )

    async def _pages(
        self, operation: str, service: Any, params: Mapping[str, Any]
    ) -> AsyncIterator[Reading]:
        cursor: Json = {}
        while True:
            page = {**params, **cursor, "limit": PAGE}
            listed, elapsed = await self._call(operation, timed(service.list_async, page))
            objects = tuple(_plain(each) for each in listed.data)
            yield reading(objects, listed, elapsed=elapsed)
            if not listed.has_more or not objects:
                return
            cursor = {"starting_after": objects[-1]["id"]}

    async def _call(self, operation: str, call: Awaitable[T]) -> T:
        with tracing.span(f"stripe {operation}", {}, kind="client") as span:
            return await self._limited(operation, call, span)

    async def _limited(self, operation: str, call: Awaitable[T], span: Span) -> T:
        try:
            await self._admit(operation)
        except BaseException:
            _discard(call)
            raise
        try:
            with stripe_errors(operation):
                return await self._counted(operation, call, span)
        except StripeUnavailable as refusal:
            if isinstance(refusal.__cause__, stripe.RateLimitError):
                self._budget.limited(refusal.retry_delay or refusal.delay)
            raise

    async def _admit(self, operation: str) -> None:
        """Ask the breaker before the wait too: while it is open nobody waits to be refused."""
        outcome = "refused_by_breaker"
        try:
            self._breaker.check()
            outcome = "refused_by_budget"
            await self._draw()
            outcome = "refused_by_breaker"
            self._breaker.admit()
        except StripeUnavailable:
            STRIPE_CALLS.labels(operation, outcome).inc()
            raise

    async def _draw(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._draw_one()
        except TimeoutError as error:
            raise StripeUnavailable from error

    async def _draw_one(self) -> None:
        await self._budget.draw()

    async def _counted(self, operation: str, call: Awaitable[T], span: Span) -> T:
        outcome = "cancelled"
        # A retry waits for the budget without patience of its own: the call has its time limit.
        TRIES.set(Tries(self._draw_one, span))
        try:
            async with asyncio.timeout(self._limit):
                answer = await call
            outcome = "ok"
        except Exception as error:
            outcome = "outage" if is_outage(error) else "error"
            raise
        finally:
            STRIPE_CALLS.labels(operation, outcome).inc()
            self._tell_breaker(outcome)
        return answer

    def _tell_breaker(self, outcome: str) -> None:
        """Any answer, a refusal too, shows that Stripe is there; a cancelled call shows nothing."""
        if outcome == "outage":
            self._breaker.failed()
        elif outcome != "cancelled":
            self._breaker.succeeded()


class _InBackground(LiveStripe):
    """Another's Stripe, by calls that wait for all others.

    Its breaker is its own: outages that only the background met refuse no caller.
    """

    def __init__(self, shared: LiveStripe) -> None:
        self.__dict__.update(vars(shared))
        self._breaker = Breaker()

    async def turn(self) -> None:
        await self._budget.background_turn()

    async def _draw(self) -> None:
        await self._draw_one()

    async def _draw_one(self) -> None:
        await self._budget.draw_in_background()


@dataclass(frozen=True, slots=True)
class _OfProduct:
    """A list below a product, called like one that stands by itself."""

    service: Any
    product_id: str

    def list_async(self, params: Json) -> Awaitable[Any]:
        listed: Awaitable[Any] = self.service.list_async(self.product_id, params)
        return listed


def _params(params: Json) -> Any:
    """Hand plain data to the SDK, whose types name every parameter there is."""
    return params


def _plain(answer: Any) -> Json:
    plain: Json = answer.to_dict()
    return plain


def _discard(call: Awaitable[Any]) -> None:
    if asyncio.iscoroutine(call):
        call.close()
