"""How pages are made of templates."""

from pathlib import Path
from typing import Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from storefront import forgery, languages, sessions, shop

HERE = Path(__file__).parent

_templates = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(request: web.Request, template: str, *, status: int = 200, **context: Any) -> web.Response:
    language = languages.of(request)
    text = _templates.get_template(template).render(
        _=languages.words(language),
        amount=lambda minor, currency: languages.amount(minor, currency, language),
        day=lambda moment: languages.day(moment, language),
        language=language,
        other_languages=_other_languages(request, language),
        session=sessions.of(request),
        csrf=forgery.token(request),
        shop=shop.of(request),
        here=request.path,
        **context,
    )
    return web.Response(text=text, status=status, content_type="text/html")


def _other_languages(request: web.Request, language: str) -> list[tuple[str, str, str]]:
    """Give each other language's code, name and address of this page."""
    reading = request.method in forgery.READING
    # What was sent by a form cannot be had again by a link.
    here = request.rel_url if reading else request.rel_url.with_path("/").with_query(None)
    return [
        (code, name, str(here.update_query({languages.QUERY: code})))
        for code, name in languages.KNOWN.items()
        if code != language
    ]


def message(
    request: web.Request,
    title: str,
    text: str,
    *,
    status: int = 200,
    link: tuple[str, str] = ("/", ""),
) -> web.Response:
    return page(request, "message.html", status=status, title=title, text=text, link=link)
