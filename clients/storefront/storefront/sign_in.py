"""
Signing in as a made-up user: an address is enough.

Put your own login in the place of this module. What the rest needs of it is a session with your
own id of whoever pays, made on the server.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable
from functools import wraps

from aiohttp import web
from yarl import URL

from storefront import languages, refusals, sessions
from storefront.pages import page

Handler = Callable[[web.Request], Awaitable[web.Response]]

LONGEST_EMAIL = 254
_EMAIL = re.compile(r"[^@\s<>\x00-\x1f]+@[^@\s<>\x00-\x1f]+\.[^@\s<>\x00-\x1f]+")
#: A path of ours. Two slashes, or a backslash, would lead to another site.
_PATH = re.compile(r"/(?![/\\])[\w\-./?=&%]{0,300}")
HOME = "/account"


def required(handler: Handler) -> Handler:
    """Ask strangers to sign in first, and lead them back."""

    @wraps(handler)
    async def guarded(request: web.Request) -> web.Response:
        if sessions.of(request).signed_in:
            return await handler(request)
        if refusals.answers_script(request):
            raise web.HTTPUnauthorized
        raise web.HTTPSeeOther(URL("/sign-in").with_query(next=str(request.rel_url)))

    return guarded


async def form(request: web.Request) -> web.Response:
    return _form(request, _next(request.query.get("next", "")))


def _form(
    request: web.Request, next_: str, *, email: str = "", error: str = "", status: int = 200
) -> web.Response:
    context = {"next": next_, "email": email, "error": error}
    return page(request, "sign_in.html", status=status, **context)


def _next(path: str) -> str:
    return path if _PATH.fullmatch(path) else HOME


async def sign_in(request: web.Request) -> web.Response:
    fields = await request.post()
    email = str(fields.get("email", "")).strip()
    next_ = _next(str(fields.get("next", "")))
    if len(email) > LONGEST_EMAIL or not _EMAIL.fullmatch(email):
        said = languages.words(languages.of(request))("Please give a whole e-mail address.")
        return _form(request, next_, email=email[:LONGEST_EMAIL], error=said, status=422)
    response = web.HTTPSeeOther(next_)
    sessions.keep(response, request, sessions.begin(account_id=account_of(email), email=email))
    raise response


def account_of(email: str) -> str:
    """Name the account; the name never comes from the browser."""
    return f"user_{hashlib.sha256(email.lower().encode()).hexdigest()[:24]}"


async def sign_out(request: web.Request) -> web.Response:
    response = web.HTTPSeeOther("/")
    sessions.keep(response, request, sessions.begin())
    raise response
