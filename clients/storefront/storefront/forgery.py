"""Pages of others may not press our buttons, with our customers' cookies."""

import hmac

from aiohttp import web

from storefront import sessions, shop

FIELD = "csrf_token"
HEADER = "X-CSRF-Token"
READING = frozenset({"GET", "HEAD"})
#: What `Sec-Fetch-Site` says where no other site is involved.
OWN = frozenset({"same-origin", "none"})


def token(request: web.Request) -> str:
    visitor = sessions.of(request).visitor
    return sessions.sign(visitor, shop.of(request).settings.secret, "csrf")


async def is_forged(request: web.Request) -> bool:
    """Tell whether a write could come from a page that is not ours."""
    if request.method in READING:
        return False
    if request.headers.get("Sec-Fetch-Site", "none") not in OWN:
        return True
    if request.headers.get("Origin", shop.of(request).public_url) != shop.of(request).public_url:
        return True
    return not hmac.compare_digest((await _sent(request)).encode(), token(request).encode())


async def _sent(request: web.Request) -> str:
    if HEADER in request.headers:
        return request.headers[HEADER]
    if request.content_type != "application/x-www-form-urlencoded":
        return ""
    return str((await request.post()).get(FIELD, ""))
