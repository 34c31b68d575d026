"""Languages, amounts and days; and no word without its French."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from storefront import catalog, languages, plans, refusals, selling
from storefront.pages import HERE
from storefront.texts import FRENCH
from tests.docs.pages import ROOT
from tests.storefront.visitor import Visitor

_IN_TEMPLATES = re.compile(r'_\("((?:[^"\\]|\\.)+)"')
#: Whole lines, or handed to `words` at once.
_IN_CODE = re.compile(
    r'words\(languages\.of\(request\)\)\("([^"]+)"|^\s+"([A-Z][^"]+\.|[A-Z][a-z ]+)",$',
    re.MULTILINE,
)
_TALKING = ("selling.py", "returning.py", "sign_in.py")


def _said() -> Iterator[str]:
    for template in (HERE / "templates").glob("*.html"):
        yield from _IN_TEMPLATES.findall(template.read_text())
    for name in _TALKING:
        yield from (a or b for a, b in _IN_CODE.findall((HERE / name).read_text()))
    for title, text in refusals.SAID.values():
        yield from (title, text)
    yield from (status for status, _ in [*plans.STATUSES.values(), plans.INACTIVE])
    yield from selling.TERMS.values()
    yield from ("Ends on {day}", "Free until {day}", "Renews on {day}", "Subscription")
    yield from ("See the prices", "Nothing was paid. Choose a plan to try again.")
    ours = catalog.read(ROOT / "catalog.toml")
    yield from ours.features.values()
    yield from (plan.description for plan in ours.plans)


def test_every_word_has_its_french() -> None:
    assert {text for text in _said() if text not in FRENCH} == set()


def test_no_french_is_left_over() -> None:
    assert set(FRENCH) - set(_said()) == set()


def test_what_is_filled_in_is_the_same_in_both() -> None:
    places = re.compile(r"\{\w+\}")

    assert [en for en, fr in FRENCH.items() if places.findall(en) != places.findall(fr)] == []


@pytest.mark.parametrize(
    ("minor", "currency", "language", "shown"),
    [
        (500, "usd", "en", "$5"),
        (1550, "usd", "en", "$15.50"),
        (123456700, "eur", "en", "€1,234,567"),
        (500, "jpy", "en", "JPY\N{NO-BREAK SPACE}500"),
        (1550, "eur", "fr", "15,50\N{NO-BREAK SPACE}€"),
        (
            123456700,
            "eur",
            "fr",
            "1\N{NARROW NO-BREAK SPACE}234\N{NARROW NO-BREAK SPACE}567\N{NO-BREAK SPACE}€",
        ),
    ],
)
def test_amounts_read_as_the_language_writes_them(
    minor: int, currency: str, language: str, shown: str
) -> None:
    assert languages.amount(minor, currency, language) == shown


def test_days_read_as_the_language_writes_them() -> None:
    moment = datetime(2027, 2, 3, 23, tzinfo=UTC)

    assert languages.day(moment, "en") == "February 3, 2027"
    assert languages.day(moment, "fr") == "3 février 2027"


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("fr-CA,fr;q=0.9,en;q=0.8", "fr"),
        ("de, fr;q=0.2, en;q=0.7", "en"),
        ("xx;q=junk, ,;;", "en"),
        ("fr" * 1000, "en"),
    ],
)
async def test_the_browser_says_which_language(
    stranger: Visitor, header: str, language: str
) -> None:
    text = (await stranger.get("/", **{"Accept-Language": header})).text

    assert f'<html lang="{language}">' in text


@pytest.mark.asyncio(loop_scope="session")
async def test_the_switch_is_remembered(stranger: Visitor) -> None:
    await stranger.get("/?lang=fr")

    assert '<html lang="fr">' in (await stranger.get("/sign-in")).text
    assert '<html lang="fr">' in (await stranger.get("/?lang=xx")).text
    assert '<html lang="en">' in (await stranger.get("/?lang=en")).text
