"""Who is signed in: one signed cookie, and nothing kept on the server."""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web

from storefront import shop
from storefront.settings import is_loopback

#: Twelve hours, in seconds.
LIFETIME = 12 * 60 * 60
LONGEST_COOKIE = 2048

SESSION = "session"


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    #: Drawn anew at each sign-in, so that what was known of the visitor before is worth nothing.
    visitor: str
    #: In seconds since 1970.
    began: int
    #: Whoever pays; empty for strangers.
    account_id: str = ""
    email: str = ""

    @property
    def signed_in(self) -> bool:
        return bool(self.account_id)


def begin(*, account_id: str = "", email: str = "") -> Session:
    return Session(
        visitor=secrets.token_urlsafe(16),
        began=int(time.time()),
        account_id=account_id,
        email=email,
    )


def of(request: web.Request) -> Session:
    session: Session = request[SESSION]
    return session


def read(cookie: str, secret: str) -> Session | None:
    """Give the session that a cookie holds; None where it is not ours, or too old."""
    content, _, signature = cookie.rpartition(".")
    if len(cookie) > LONGEST_COOKIE or not hmac.compare_digest(
        signature.encode(), sign(content, secret, "session").encode()
    ):
        return None
    try:
        session = Session(**json.loads(base64.urlsafe_b64decode(content)))
    except (binascii.Error, ValueError, TypeError):
        return None
    return session if 0 <= time.time() - session.began < LIFETIME else None


def write(session: Session, secret: str) -> str:
    fields = {
        "visitor": session.visitor,
        "began": session.began,
        "account_id": session.account_id,
        "email": session.email,
    }
    content = base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()
    return f"{content}.{sign(content, secret, 'session')}"


def sign(content: str, secret: str, purpose: str) -> str:
    """Sign for one purpose, so that one kind of token is never taken for another."""
    message = f"{purpose}:{content}".encode()
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def cookie_name(public_url: str) -> str:
    # Browsers take `__Host-` from nobody but this very host, over https.
    return "__Host-storefront" if public_url.startswith("https://") else "storefront"


def keep(response: web.StreamResponse, request: web.Request, session: Session) -> None:
    """Let the browser have the session from this response on."""
    our = shop.of(request)
    response.set_cookie(
        cookie_name(our.public_url),
        write(session, our.settings.secret),
        max_age=LIFETIME,
        httponly=True,
        # Lax: Stripe sends customers back by a link, and they are to be signed in then.
        samesite="Lax",
        secure=our.public_url.startswith("https://"),
        path="/",
    )


def found_in(request: web.Request) -> Session | None:
    our = shop.of(request)
    cookie = request.cookies.get(cookie_name(our.public_url), "")
    return read(cookie, our.settings.secret)


def is_ours(request: web.Request) -> bool:
    """Tell whether the shop was asked under its own name, where that can be told.

    A developer's shop answers to one name on loopback: cookies of `localhost` are not those of
    `127.0.0.1`, and a name of somebody else's that leads here is not ours. Elsewhere proxies may
    rename the host, and that is their business.
    """
    own = urlsplit(shop.of(request).public_url)
    return not is_loopback(own.hostname or "") or request.host == own.netloc
