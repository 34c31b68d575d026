"""The account page, and pages that are behind a paid feature."""

import hashlib

from aiohttp import web

from storefront import plans, sessions, shop, sign_in
from storefront.pages import page


@sign_in.required
async def account(request: web.Request) -> web.Response:
    held, features = await _overview(request)
    return page(
        request, "account.html", held=held, features=features, state=_digest(held, features)
    )


@sign_in.required
async def account_state(request: web.Request) -> web.Response:
    """Tell the page when what it shows is no longer so."""
    return web.json_response({"state": _digest(*await _overview(request))})


async def _overview(request: web.Request) -> tuple[list[plans.Held], dict[str, bool]]:
    our, account_id = shop.of(request), sessions.of(request).account_id
    held = await plans.held(our.billing, our.catalog, account_id)
    features = {key: await our.access.entitled(account_id, key) for key in our.catalog.features}
    return held, features


def _digest(held: list[plans.Held], features: dict[str, bool]) -> str:
    return hashlib.sha256(repr((held, features)).encode()).hexdigest()[:16]


@sign_in.required
async def feature(request: web.Request) -> web.Response:
    """Show what is sold, or until it is paid refuse it, with a way to it."""
    our, key = shop.of(request), _feature(request)
    if await our.access.entitled(sessions.of(request).account_id, key):
        return page(request, "feature.html", feature=key, state="open")
    held = await plans.held(our.billing, our.catalog, sessions.of(request).account_id)
    return page(
        request,
        "refused.html",
        status=403,
        feature=key,
        plans=our.catalog.plans_with(key),
        held=held,
        state="closed",
    )


@sign_in.required
async def feature_state(request: web.Request) -> web.Response:
    key = _feature(request)
    entitled = await shop.of(request).access.entitled(sessions.of(request).account_id, key)
    return web.json_response({"state": "open" if entitled else "closed"})


def _feature(request: web.Request) -> str:
    key = request.match_info["feature"]
    if key not in shop.of(request).catalog.features:
        raise web.HTTPNotFound
    return key
