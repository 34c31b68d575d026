"""Routes, and what goes around each request."""

from aiohttp import web

from storefront import (
    account,
    forgery,
    headers,
    languages,
    refusals,
    returning,
    selling,
    sessions,
    sign_in,
)
from storefront.pages import HERE
from storefront.shop import SHOP, Shop

#: In bytes; the largest thing that is sent here is a short form.
LARGEST_BODY = 16 * 1024


def application(shop: Shop) -> web.Application:
    app = web.Application(middlewares=[around], client_max_size=LARGEST_BODY)
    app[SHOP] = shop
    app.on_response_prepare.append(headers.add)
    app.add_routes(
        [
            web.get("/", selling.pricing),
            web.get("/sign-in", sign_in.form),
            web.post("/sign-in", sign_in.sign_in),
            web.post("/sign-out", sign_in.sign_out),
            web.get("/subscribe", selling.subscribe),
            web.post("/create-checkout-session", selling.create_checkout_session),
            web.get("/return", returning.returned),
            web.get("/session-status", returning.session_status),
            web.get("/account", account.account),
            web.get("/account/state", account.account_state),
            web.post("/create-portal-session", selling.create_portal_session),
            web.get("/features/{feature}", account.feature),
            web.get("/features/{feature}/state", account.feature_state),
            web.get("/healthz", _alive),
            web.static("/static", HERE / "static"),
        ]
    )
    return app


async def _alive(_request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


@web.middleware
async def around(request: web.Request, handler: refusals.Handler) -> web.StreamResponse:
    request[languages.LANGUAGE] = languages.choose(request)
    found = sessions.found_in(request)
    request[sessions.SESSION] = found or sessions.begin()
    response = await refusals.answered(request, _guarded(handler))
    languages.keep(request, response)
    if found is None and response.content_type == "text/html":
        sessions.keep(response, request, sessions.of(request))
    return response


def _guarded(handler: refusals.Handler) -> refusals.Handler:
    async def guarded(request: web.Request) -> web.StreamResponse:
        if not sessions.is_ours(request):
            return _at_our_own_name(request)
        if await forgery.is_forged(request):
            raise web.HTTPForbidden
        return await handler(request)

    return guarded


def _at_our_own_name(request: web.Request) -> web.StreamResponse:
    if request.method not in forgery.READING:
        raise web.HTTPMisdirectedRequest
    raise web.HTTPTemporaryRedirect(request.app[SHOP].public_url + str(request.rel_url))
