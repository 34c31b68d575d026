"""Stripe.js as the emulator serves it, at the paths that it has at Stripe."""

from aiohttp import web

from stripe_emulator import pages

#: The releases whose names for things it has.
RELEASES = ("dahlia", "endive")


async def script(_request: web.Request) -> web.StreamResponse:
    response = pages.file_response(pages.FILES["stripe.js"])
    # Any page may load it, also one that asks for `crossorigin` or isolates itself.
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


def add_to(app: web.Application) -> None:
    for release in RELEASES:
        app.router.add_get(f"/{release}/stripe.js", script)
