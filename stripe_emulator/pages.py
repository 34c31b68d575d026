"""What all pages share: templates, languages, headers, files."""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stripe_emulator import custom_text, money, page_texts
from stripe_emulator.api import Handler
from stripe_emulator.errors import StripeError

HERE = Path(__file__).parent
FILES = {path.name: path for path in (HERE / "static").iterdir()}
ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")
NOBODY = "'none'"
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

_templates = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters["custom_text"] = custom_text.html


def page(
    template: str,
    *,
    language: str = "en",
    status: int = 200,
    parent: str | None = None,
    leads_to: Iterable[str | None] = (),
    **context: Any,
) -> web.Response:
    """
    Render a page.

    `parent` is the origin of the page that shows this one in a frame; others are shown in none.
    `leads_to` are addresses elsewhere that sending a form of this page may end at.
    """
    body = _templates.get_template(template).render(
        language=language,
        parent=parent,
        _=page_texts.in_(language),
        amount=_amounts(language),
        day=_days(language),
        **context,
    )
    return web.Response(
        text=body,
        status=status,
        content_type="text/html",
        headers={
            "Cache-Control": "no-store",
            "Content-Security-Policy": _policy(parent, leads_to),
            # The address of a page is the key to it, so others do not learn it. Forms of our own
            # have to say where they come from.
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        },
    )


def _policy(parent: str | None, leads_to: Iterable[str | None]) -> str:
    # A browser holds the redirect after a form to `form-action`, too.
    ends = " ".join(sorted({"'self'", *filter(is_origin, map(_origin, filter(None, leads_to)))}))
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            f"form-action {ends}",
            "base-uri 'none'",
            f"frame-ancestors {parent or NOBODY}",
        )
    )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def is_origin(text: str) -> bool:
    """Tell what may stand in a policy from what would be read as more of it."""
    return ORIGIN.fullmatch(text) is not None


def _amounts(language: str) -> Callable[[int, str], str]:
    return lambda amount, currency: money.shown(amount, currency, language)


def _days(language: str) -> Callable[[int], str]:
    def day(moment: int) -> str:
        date = datetime.fromtimestamp(moment, UTC)
        month = page_texts.MONTHS[language][date.month - 1]
        if language == "fr":
            return f"{date.day} {month} {date.year}"
        return f"{month} {date.day}, {date.year}"

    return day


def refusal(
    error: StripeError,
    language: str = "en",
    *,
    parent: str | None = None,
    link: tuple[str, str] | None = None,
) -> web.Response:
    """Say in a page what cannot be shown or done."""
    return page(
        "message.html",
        language=language,
        status=error.status,
        parent=parent,
        title="Something went wrong",
        text=error.message,
        link=link,
    )


def on_a_page(handler: Handler) -> Handler:
    """Give refusals as pages, since people read them."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except StripeError as error:
            return refusal(error, language_of(request, None))

    return handle


def language_of(request: web.Request, locale: str | None) -> str:
    """Choose what the object asks for, else what the browser does."""
    if locale in (None, "auto"):
        locale = request.headers.get("Accept-Language", "")
    return "fr" if (locale or "").lower().startswith("fr") else "en"


async def file(request: web.Request) -> web.StreamResponse:
    path = FILES.get(request.match_info["name"])
    if path is None:
        raise web.HTTPNotFound
    return file_response(path)


def file_response(path: Path) -> web.FileResponse:
    return web.FileResponse(
        path,
        headers={
            "Cache-Control": "no-cache",
            "Content-Type": f"{TYPES[path.suffix]}; charset=utf-8",
            "X-Content-Type-Options": "nosniff",
        },
    )


def add_to(app: web.Application) -> None:
    app.router.add_get("/assets/{name}", file)
