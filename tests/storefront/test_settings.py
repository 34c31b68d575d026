"""Settings: read at once, complained of at once, and never with a value."""

import asyncio
import os
import re
import socket
import sys
from pathlib import Path

import pytest

from storefront import catalog, settings
from storefront.catalog import CatalogInvalid
from storefront.settings import Settings, SettingsInvalid, load
from tests.docs.pages import ROOT, page

LONG = "x" * 32
CATALOG = str(ROOT / "catalog.toml")
ABROAD = {
    "STOREFRONT_CATALOG": CATALOG,
    "STOREFRONT_LISTEN": "0.0.0.0:8000",
    "STOREFRONT_PUBLIC_URL": "https://shop.example.com",
    "STOREFRONT_SECRET": LONG,
    "STOREFRONT_MADE_UP_USERS": "yes",
}


def _load(**env: str) -> Settings:
    return load({"STOREFRONT_CATALOG": CATALOG, **env})


def test_on_loopback_nothing_has_to_be_said() -> None:
    first, second = _load(), _load()

    assert first.stripe_js == "https://js.stripe.com/dahlia/stripe.js"
    assert len(first.secret) >= settings.SHORTEST_SECRET
    assert first.secret != second.secret
    assert first.secret not in repr(first)


def test_everything_that_is_wrong_is_said_at_once_without_its_value() -> None:
    with pytest.raises(SettingsInvalid) as wrong:
        load(
            {
                "STOREFRONT_LISTEN": "secret-host",
                "STOREFRONT_PUBLIC_URL": "ftp://secret-host",
                "STOREFRONT_STRIPE_JS": "http://secret-host/stripe.js",
                "STOREFRONT_CATALOG": "secret-file",
                "STOREFRONT_SECRET": "secret-short",
                "STOREFRONT_MADE_UP_USERS": "secret-perhaps",
            }
        )

    said = str(wrong.value)
    assert [line.partition(":")[0] for line in said.splitlines()] == [
        "STOREFRONT_LISTEN",
        "STOREFRONT_PUBLIC_URL",
        "STOREFRONT_STRIPE_JS",
        "STOREFRONT_CATALOG",
        "STOREFRONT_SECRET",
        "STOREFRONT_MADE_UP_USERS",
    ]
    assert "secret-" not in said


@pytest.mark.parametrize(
    "missing", ["STOREFRONT_PUBLIC_URL", "STOREFRONT_SECRET", "STOREFRONT_MADE_UP_USERS"]
)
def test_off_loopback_nothing_is_guessed(missing: str) -> None:
    assert load(ABROAD).public_url == "https://shop.example.com"

    with pytest.raises(SettingsInvalid, match=missing):
        load({name: value for name, value in ABROAD.items() if name != missing})


def test_a_public_name_alone_makes_it_public() -> None:
    with pytest.raises(SettingsInvalid, match="MADE_UP_USERS"):
        _load(STOREFRONT_PUBLIC_URL="https://shop.example.com", STOREFRONT_SECRET=LONG)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PUBLIC_URL", "http://shop.example.com"),
        ("PUBLIC_URL", "https://shop.example.com/path"),
        ("STRIPE_JS", "https://js.stripe.com/x.js; script-src *"),
        ("STRIPE_JS", "javascript:alert(1)"),
    ],
)
def test_addresses_that_would_be_unsafe_are_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsInvalid, match=name):
        load({**ABROAD, f"STOREFRONT_{name}": value})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"CERTIFICATE_FILE": "secret-a"}, "a certificate and its key need each other"),
        ({"KEY_FILE": "secret-a"}, "a certificate and its key need each other"),
        ({"PLAINTEXT": "secret-a"}, "must be yes or nothing"),
        ({"PLAINTEXT": "yes", "CA_FILE": "secret-a"}, "certificates are for TLS"),
    ],
)
def test_what_the_shop_proves_itself_by_belongs_together(wrong: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsInvalid, match=said) as refused:
        _load(**{f"STOREFRONT_BILLING_{name}": value for name, value in wrong.items()})

    assert "secret-" not in str(refused.value)


def test_a_file_can_hold_a_setting(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{LONG}\n")

    assert _load(STOREFRONT_SECRET_FILE=str(file)).secret == LONG
    with pytest.raises(SettingsInvalid, match="STOREFRONT_SECRET_FILE: cannot be read"):
        _load(STOREFRONT_SECRET_FILE=str(tmp_path / "none"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[[product]",
        "[[product]]\nid = 'a'\n",
        "product = 5",
        "[[product]]\nid = 'a'\nname = 'A'\nprice = []",
    ],
)
def test_what_is_no_catalogue_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(text)

    with pytest.raises(CatalogInvalid, match=r"catalog\.toml"):
        catalog.read(file)


def test_the_page_tells_every_setting_with_its_default() -> None:
    text = page("clients/storefront/README.md").section("## Settings")

    for name, default, what in settings.described():
        assert f"| `{name}` | {f'`{default}`' if default else 'none'} | {what} |" in text


def test_the_page_tells_what_each_module_is() -> None:
    table = page("clients/storefront/README.md").section("## What to copy")
    modules = {path.name for path in (ROOT / "clients/storefront/storefront").glob("*.py")}

    told = set(re.findall(r"`(\w+\.py)`", table))

    assert told == modules - {"__init__.py", "__main__.py"}


async def _run(*arguments: str, **env: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "storefront",
        *arguments,
        env={**os.environ, "STOREFRONT_CATALOG": CATALOG, **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_help_names_every_setting() -> None:
    code, said = await _run("--help")

    assert code == 0
    assert [name for name, _, _ in settings.described() if name not in said] == []


async def test_a_wrong_setting_ends_it_with_its_name() -> None:
    wrong = await _run(STOREFRONT_STRIPE_JS="nowhere")

    assert wrong == (2, "STOREFRONT_STRIPE_JS: must be a URL\n")


async def test_a_port_that_is_taken_is_named_with_its_variable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        code, said = await _run(STOREFRONT_LISTEN=address)

    assert code == 1
    assert address in said
    assert "STOREFRONT_LISTEN" in said
