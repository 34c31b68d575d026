"""Prices, the page that sells, and the way to the portal."""

import json
from typing import Any

from aiohttp import web

from paidup import AlreadySubscribed, Conflict, CustomText, LineItem, NotFound, PortalFlow
from storefront import languages, plans, sessions, shop, sign_in
from storefront.catalog import INTERVALS, Plan, Price
from storefront.pages import message, page

#: What the portal opens with, by what our forms call it.
FLOWS = {
    "": None,
    "payment-method": PortalFlow.PORTAL_FLOW_PAYMENT_METHOD_UPDATE,
    "update": PortalFlow.PORTAL_FLOW_SUBSCRIPTION_UPDATE,
    "cancel": PortalFlow.PORTAL_FLOW_SUBSCRIPTION_CANCEL,
}
TERMS = {
    "month": "Renews each month until you cancel, under Account, at any time.",
    "year": "Renews each year until you cancel, under Account, at any time.",
}


async def pricing(request: web.Request) -> web.Response:
    our = shop.of(request)
    interval = _one_of(INTERVALS, request.query.get("interval"))
    wanted = request.query.get("currency") or languages.CURRENCY[languages.of(request)]
    currency = _one_of(our.catalog.currencies, wanted)
    held = await _held(request)
    return page(
        request,
        "pricing.html",
        offers=[(plan, plan.price(currency, interval)) for plan in our.catalog.plans],
        interval=interval,
        currency=currency,
        held={product for one in held for product in one.products},
    )


def _one_of(known: tuple[str, ...], wanted: str | None) -> str:
    return wanted if wanted in known else known[0]


async def _held(request: web.Request) -> list[plans.Held]:
    session, our = sessions.of(request), shop.of(request)
    if not session.signed_in:
        return []
    return await plans.held(our.billing, our.catalog, session.account_id)


@sign_in.required
async def subscribe(request: web.Request) -> web.Response:
    plan, price = _offer(request, request.query.get("price", ""))
    return page(request, "subscribe.html", plan=plan, price=price, again=False)


def _offer(request: web.Request, lookup_key: str) -> tuple[Plan, Price]:
    catalog = shop.of(request).catalog
    plan, price = catalog.plan_of(lookup_key), catalog.price_of(lookup_key)
    if plan is None or price is None:
        raise web.HTTPNotFound
    return plan, price


@sign_in.required
async def create_checkout_session(request: web.Request) -> web.Response:
    """Answer what Stripe.js needs to mount the form, or where to go instead."""
    _, price = _offer(request, await _price_in(request))
    if await _held(request):
        # Another plan beside the first would be paid for besides. The portal changes the first.
        return web.json_response({"redirect": await _portal(request, "update")})
    try:
        return web.json_response(await _checkout(request, price))
    except AlreadySubscribed:
        return web.json_response({"redirect": await _portal(request, "")})


async def _price_in(request: web.Request) -> str:
    try:
        body: Any = json.loads(await request.read())
    except ValueError:
        raise web.HTTPBadRequest from None
    price = body.get("price") if isinstance(body, dict) else None
    if not isinstance(price, str):
        raise web.HTTPBadRequest
    return price


async def _checkout(request: web.Request, price: Price) -> dict[str, str]:
    our, session = shop.of(request), sessions.of(request)
    language = languages.of(request)
    created = await our.billing.create_checkout_session(
        account_id=session.account_id,
        line_items=[LineItem(price=price.lookup_key)],
        # The price, so that the page can mount the form again.
        return_url=f"{our.public_url}/return?price={price.lookup_key}"
        "&session_id={CHECKOUT_SESSION_ID}",
        customer_email=session.email,
        locale=language,
        custom_text=CustomText(submit=languages.words(language)(TERMS[price.interval])),
    )
    return {"publishableKey": created.publishable_key, "clientSecret": created.client_secret}


@sign_in.required
async def create_portal_session(request: web.Request) -> web.Response:
    flow = str((await request.post()).get("flow", ""))
    if flow not in FLOWS:
        raise web.HTTPBadRequest
    try:
        url = await _portal(request, flow)
    except NotFound:
        return message(
            request,
            "There is nothing to manage yet",
            "You have not bought anything here.",
            status=404,
            link=("/", "See the prices"),
        )
    raise web.HTTPSeeOther(url)


async def _portal(request: web.Request, flow: str) -> str:
    our = shop.of(request)
    try:
        portal = await our.billing.create_portal_session(
            account_id=sessions.of(request).account_id,
            return_url=f"{our.public_url}/account",
            flow=FLOWS[flow],
            locale=languages.of(request),
        )
    except Conflict:
        if not flow:
            raise
        # Several subscriptions, or none that lives: the customer sees on the first page.
        return await _portal(request, "")
    return portal.url
