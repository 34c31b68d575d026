"""The path of an API call: key, fault, parameters, idempotency, answer, expansion."""

import asyncio
import base64
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import orjson
from aiohttp import web

from stripe_emulator import (
    account,
    catalog,
    checkout,
    coupons,
    customers,
    entitlements,
    event_endpoints,
    expansion,
    features,
    form,
    ids,
    invoice_endpoints,
    invoice_previews,
    mandates,
    parameters,
    payment_method_configurations,
    payment_methods,
    payment_page_endpoints,
    portal,
    prices,
    products,
    promotion_codes,
    search,
    subscription_endpoints,
    subscription_items,
    test_clocks,
    webhook_endpoints,
)
from stripe_emulator.emulator import Emulator
from stripe_emulator.errors import (
    BodyTooLarge,
    FaultAskedFor,
    InternalError,
    InvalidParameters,
    StripeError,
    Unauthenticated,
)
from stripe_emulator.events import API_VERSION, Cause
from stripe_emulator.idempotency import Reply
from stripe_emulator.parameters import Params
from stripe_emulator.routing import Route
from stripe_emulator.tables import StripeObject

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

ROUTES: tuple[Route, ...] = (
    *search.ROUTES,
    *account.ROUTES,
    *catalog.ROUTES,
    *checkout.ROUTES,
    *coupons.ROUTES,
    *customers.ROUTES,
    *entitlements.ROUTES,
    *event_endpoints.ROUTES,
    *features.ROUTES,
    *invoice_endpoints.ROUTES,
    *invoice_previews.ROUTES,
    *mandates.ROUTES,
    *payment_method_configurations.ROUTES,
    *payment_methods.ROUTES,
    *payment_page_endpoints.ROUTES,
    *portal.ROUTES,
    *prices.ROUTES,
    *products.ROUTES,
    *promotion_codes.ROUTES,
    *subscription_endpoints.ROUTES,
    *subscription_items.ROUTES,
    *test_clocks.ROUTES,
    *webhook_endpoints.ROUTES,
)
ENDPOINTS = frozenset(route.name for route in ROUTES)
FORM = "application/x-www-form-urlencoded"
log = logging.getLogger(__name__)


class Api:
    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def add_to(self, app: web.Application) -> None:
        for route in ROUTES:
            app.router.add_route(route.method, route.path, self._handler(route))

    def _handler(self, route: Route) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            request_id = ids.new("req")

            async def call() -> web.Response:
                try:
                    return await self._call(route, request, request_id)
                except StripeError as error:
                    return refusal(error, request_id)

            try:
                return await self._meet_faults(route, request, call)
            except StripeError as error:
                return refusal(error, request_id)

        return handle

    async def _meet_faults(
        self, route: Route, request: web.Request, call: Callable[[], Awaitable[web.Response]]
    ) -> web.StreamResponse:
        _authenticate(request.headers.get("Authorization", ""))
        _check_version(request.headers.get("Stripe-Version", API_VERSION))
        knobs = self._emulator.faults.of(route.name)
        if knobs.next > 0:
            self._emulator.count_failure_down(route.name)
            raise FaultAskedFor(knobs.status)
        return await self._emulator.api_faults.meet(knobs, request, call)

    async def _call(self, route: Route, request: web.Request, request_id: str) -> web.Response:
        given = await _form(request)
        key = request.headers.get("Idempotency-Key")
        if request.method != "POST" or key is None:
            await self._delay(route)
            reply = self._execute(route, request, given, Cause(request_id=request_id))
            return _response(reply)
        return await self._once(
            route, request, given, Cause(request_id=request_id, idempotency_key=key)
        )

    async def _once(
        self, route: Route, request: web.Request, given: form.Form, cause: Cause
    ) -> web.Response:
        key = cause.idempotency_key or ""
        keys = self._emulator.keys
        known = keys.begin(key, _fingerprint(request, given), self._emulator.world.clock.now())
        if known is not None:
            headers = {"Idempotent-Replayed": "true", "Original-Request": known.request_id}
            return _response(replace(known, request_id=cause.request_id or ""), headers)
        try:
            await self._delay(route)
            reply = self._execute(route, request, given, cause)
        except BaseException:
            keys.abandon(key)
            raise
        keys.finish(key, reply)
        return _response(reply, {"Idempotency-Key": key, "Original-Request": reply.request_id})

    def _execute(self, route: Route, request: web.Request, given: form.Form, cause: Cause) -> Reply:
        params = parameters.check(route.accepts, given, route.requires)
        route.refuse_unsupported(params)
        status, body = self._outcome(route, params, dict(request.match_info), cause)
        return Reply(status=status, body=orjson.dumps(body), request_id=cause.request_id or "")

    def _outcome(
        self, route: Route, params: Params, path: dict[str, str], cause: Cause
    ) -> tuple[int, Any]:
        try:
            return 200, self._answer(route, params, path, cause)
        except InvalidParameters:
            raise
        except StripeError as error:
            return error.status, error.body()
        except Exception:
            log.exception("%s %s failed", route.method, route.path)
            broken = InternalError()
            return broken.status, broken.body()

    def _answer(
        self, route: Route, params: Params, path: dict[str, str], cause: Cause
    ) -> StripeObject:
        paths = params.get("expand", [])
        answer = self._emulator.perform(route.answer, params, *path.values(), cause=cause)
        return expansion.expand(self._emulator.world, answer, paths)

    async def _delay(self, route: Route) -> None:
        seconds = self._emulator.faults.of(route.name).delay_seconds
        if seconds > 0:
            await asyncio.sleep(seconds)


def _authenticate(header: str) -> None:
    key = _key_of(header)
    if not key:
        raise Unauthenticated(
            "You did not provide an API key. You need to provide your API key in the Authorization "
            "header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
        )
    if not key.startswith(("sk_test_", "rk_test_")):
        raise Unauthenticated(f"Invalid API Key provided: {key[:8]}****")


def _key_of(header: str) -> str:
    """Find the key: a bearer token, or a user's name as `curl -u` sends it."""
    scheme, _, credentials = header.partition(" ")
    if scheme == "Basic":
        try:
            credentials = base64.b64decode(credentials, validate=True).decode("ascii")
        except ValueError:
            return ""
    elif scheme != "Bearer":
        return ""
    return credentials.removesuffix(":")


def _check_version(version: str) -> None:
    if version != API_VERSION:
        raise InvalidParameters(
            f"Invalid Stripe API version: {version}. The emulator speaks {API_VERSION} only."
        )


async def _form(request: web.Request) -> form.Form:
    encoded = request.rel_url.raw_query_string
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise BodyTooLarge from error
    if body and request.content_type != FORM:
        raise InvalidParameters(
            f"Invalid request (check that your POST content type is {FORM}). If you have any "
            "questions, we can help at https://support.stripe.com/."
        )
    return form.parse("&".join(part for part in (encoded, form.decode(body)) if part))


def _fingerprint(request: web.Request, given: form.Form) -> str:
    parts = orjson.dumps([request.method, request.path, given], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(parts).hexdigest()


def _response(reply: Reply, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=reply.body,
        status=reply.status,
        content_type="application/json",
        headers={"Request-Id": reply.request_id, "Stripe-Version": API_VERSION, **(headers or {})},
    )


def refusal(error: StripeError, request_id: str) -> web.Response:
    reply = Reply(status=error.status, body=orjson.dumps(error.body()), request_id=request_id)
    return _response(reply, dict(error.headers))
