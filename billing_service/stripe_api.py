"""Every call to Stripe that the service makes, with its limits.

One `StripeClient`, asyncio, explicit time-outs, retries by the SDK under one
idempotency key, a breaker. Nothing global of the SDK's is ever set. Raises
`StripeUnavailable` and `StripeMisconfigured`, and `StripeRefused` where the
request itself was wrong.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import stripe

from billing_service.breaker import Breaker
from billing_service.errors import StripeUnavailable
from billing_service.metrics import STRIPE_CALLS
from billing_service.stripe_errors import is_outage, stripe_errors

PAGE = 100
#: The SDK's own retries of connection errors, 409 and 5xx.
NETWORK_RETRIES = 2

Json = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """Objects that Stripe listed, and when that was in Stripe's clock."""

    objects: tuple[Json, ...]
    #: The read happened between these.
    start: datetime
    end: datetime


class LiveStripe:
    """Stripe, or the emulator where `api_base` says so."""

    def __init__(self, api_key: str, *, api_base: str, timeout: float = 10.0) -> None:
        self._http = stripe.AIOHTTPClient(timeout=timeout)
        self._client = stripe.StripeClient(
            api_key,
            base_addresses={"api": api_base},
            http_client=self._http,
            max_network_retries=NETWORK_RETRIES,
        )
        # A call's tries and the pauses between them, all together.
        self._limit = timeout * (NETWORK_RETRIES + 1) + 5
        self._breaker = Breaker()

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
            began = time.monotonic()
            listed = await self._call(
                operation, service.list_async({**params, **cursor, "limit": PAGE})
            )
            objects = tuple(_plain(each) for each in listed.data)
            yield _reading(objects, listed, elapsed=time.monotonic() - began)
            if not listed.has_more or not objects:
                return
            cursor = {"starting_after": objects[-1]["id"]}

    async def _call(self, operation: str, call: Awaitable[T]) -> T:
        try:
            self._breaker.admit()
        except StripeUnavailable:
            _discard(call)
            STRIPE_CALLS.labels(operation, "refused_by_breaker").inc()
            raise
        with stripe_errors(operation):
            return await self._timed(operation, call)

    async def _timed(self, operation: str, call: Awaitable[T]) -> T:
        outcome = "cancelled"
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


def _reading(objects: tuple[Json, ...], listed: Any, *, elapsed: float) -> Reading:
    """Bound when Stripe read, by its own clock: `Date` has whole seconds and is set last."""
    stamp = _date(listed)
    return Reading(
        objects=objects,
        start=stamp - timedelta(seconds=elapsed + 1),
        end=stamp + timedelta(seconds=1),
    )


def _date(listed: Any) -> datetime:
    response = listed.last_response
    headers = {
        name.lower(): value for name, value in (response.headers if response else {}).items()
    }
    try:
        return parsedate_to_datetime(headers["date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return datetime.now(UTC)
