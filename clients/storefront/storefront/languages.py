"""Which language a page speaks, and its words, amounts and days in it."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

from aiohttp import web

from storefront.texts import FRENCH, MONTHS

KNOWN = {"en": "English", "fr": "Français"}
DEFAULT = "en"
COOKIE = "language"
QUERY = "lang"
LANGUAGE = "language"
A_YEAR = 365 * 24 * 60 * 60

#: In which currency prices are shown at first.
CURRENCY = {"en": "usd", "fr": "eur"}
SIGNS = {"usd": "$", "eur": "€", "aud": "A$", "gbp": "£"}
#: Currencies without a smaller unit, as Stripe lists them.
WITHOUT_CENTS = frozenset(
    (
        *("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga"),
        *("pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf"),
    )
)
_WANTED = re.compile(r"(?<![\w-])([a-zA-Z]{2,8})(?:-\w+)*(?:\s*;\s*q=(\d(?:\.\d+)?))?")

Words = Callable[..., str]


def of(request: web.Request) -> str:
    language: str = request.get(LANGUAGE, DEFAULT)
    return language


def choose(request: web.Request) -> str:
    """Follow the switch, or what was chosen earlier, or the browser."""
    chosen = (request.query.get(QUERY), request.cookies.get(COOKIE))
    wanted = next((one for one in chosen if one in KNOWN), None)
    return wanted or _accepted(request.headers.get("Accept-Language", ""))


def _accepted(header: str) -> str:
    found = _WANTED.findall(header[:200])
    ranked = sorted(found, key=lambda each: -float(each[1] or 1))
    return next((name.lower() for name, _ in ranked if name.lower() in KNOWN), DEFAULT)


def keep(request: web.Request, response: web.StreamResponse) -> None:
    if request.query.get(QUERY) in KNOWN:
        response.set_cookie(COOKIE, of(request), max_age=A_YEAR, httponly=True, samesite="Lax")


def words(language: str) -> Words:
    def in_words(text: str, **values: object) -> str:
        said = FRENCH.get(text, text) if language == "fr" else text
        return said.format(**values) if values else said

    return in_words


def amount(minor: int, currency: str, language: str) -> str:
    places = 0 if currency in WITHOUT_CENTS or minor % 100 == 0 else 2
    units = minor if currency in WITHOUT_CENTS else minor / 100
    sign = SIGNS.get(currency, currency.upper() + "\N{NO-BREAK SPACE}")
    if language != "fr":
        return f"{sign}{units:,.{places}f}"
    number = f"{units:,.{places}f}".replace(",", "\N{NARROW NO-BREAK SPACE}").replace(".", ",")
    return f"{number}\N{NO-BREAK SPACE}{sign.strip()}"


def day(moment: datetime, language: str) -> str:
    date = moment.astimezone(UTC)
    month = MONTHS[language][date.month - 1]
    if language == "fr":
        return f"{date.day} {month} {date.year}"
    return f"{month} {date.day}, {date.year}"
