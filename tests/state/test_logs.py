"""Log lines: one event, its facts as fields, nothing secret at any depth."""

import json
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from subscription_state import logs
from subscription_state.logs import REDACTED, redact

KEY = "sk_test_51HxSecret"
SECRETS = [
    KEY,
    "sk_live_51HxSecret",
    "rk_live_51HxSecret",
    "rk_test_51HxSecret",
    "sk_org_live_51HxSecret",
    "whsec_abcDEF123",
    "whsec_abc/DEF+123==",
    "pdtk_6mBHYBYnN-51HxUj_Mqg8N6fvdZB",
    "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.51Hx-DEF_abc",
    "cs_test_a1b2_secret_fidwbEhqYWAn%2FJz",
    "cs_live_a1b2_secret_fidwbEhqYWAnPydga",
    "pi_3Nx_secret_9Zy",
    "seti_1Nx_secret_9Zy",
    "jenny.rosen+test@example.com",
    "jenny@mail.example.co.uk",
]


def redacted(**facts: Any) -> dict[str, Any]:
    return dict(redact(None, "info", facts))


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "text", ["{}", "the key {}, used", "key={}", '{{"key": "{}"}}', "<{}>", "x_{}", "({})"]
)
def test_no_text_shows_a_secret(secret: str, text: str) -> None:
    shown = redacted(event=text.format(secret))["event"]

    assert REDACTED in shown
    assert secret not in shown
    # Nor any part of one.
    assert not any(part in shown for part in ("51Hx", "DEF", "fidwb", "9Zy", "@", "jenny"))


def test_what_stands_around_a_secret_stays() -> None:
    assert redacted(event=f'{{"key": "{KEY}", "id": "cus_1"}}')["event"] == (
        f'{{"key": "{REDACTED}", "id": "cus_1"}}'
    )
    assert redacted(event='{"s": "cs_test_a_secret_b", "id": 1}')["event"] == (
        f'{{"s": "{REDACTED}", "id": 1}}'
    )


@pytest.mark.parametrize(
    "harmless",
    [
        "evt_1NxSecret",
        "cs_test_a1b2c3",
        "customer.subscription.updated",
        "task_sketch_live",
        "5 @ 3",
        "paidup@sha256:0123",
        "https://example.com/a/b?c=d",
        "postgresql+asyncpg://db.example.com/paidup",
    ],
)
def test_what_is_no_secret_stays_as_it_is(harmless: str) -> None:
    assert redacted(event=harmless) == {"event": harmless}


def test_a_databases_password_is_not_shown() -> None:
    shown = redacted(event="postgresql+asyncpg://paidup:hunter2@db.internal:5432/paidup")

    assert shown == {"event": f"postgresql+asyncpg://{REDACTED}@db.internal:5432/paidup"}


def test_secrets_are_taken_out_at_any_depth() -> None:
    @dataclass
    class Request:
        key: str

    shown = redacted(
        body={"customer": {"email": "jenny@example.com", "ids": ["cus_1", KEY]}},
        pairs=(("to", "jenny@example.com"),),
        keys={KEY},
        by_address={"jenny@example.com": 1},
        request=Request(KEY),
        error=ValueError(f"refused {KEY}"),
        raw=KEY.encode(),
    )

    assert "jenny" not in repr(shown)
    assert KEY not in repr(shown)
    assert shown["body"] == {"customer": {"email": REDACTED, "ids": ["cus_1", REDACTED]}}
    assert shown["error"] == f"ValueError('refused {REDACTED}')"


def test_numbers_stay_numbers() -> None:
    facts = {"count": 3, "share": 0.5, "is_late": True, "nothing": None}

    assert redacted(**facts) == facts


def test_a_long_text_takes_no_long_time() -> None:
    started = time.perf_counter()

    redacted(event="a" * 200_000)

    assert time.perf_counter() - started < 1


def _fail(key: str) -> None:
    raise LookupError(f"no account for {key} of jenny@example.com")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_neither_tracebacks_nor_fields_of_any_library_show_a_secret(
    log_format: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(log_format)
    try:
        _fail(KEY)
    except LookupError:
        logging.getLogger("some.library").exception(
            "failed for %s", "jenny@example.com", extra={"request": {"auth": [KEY]}}
        )

    written = capsys.readouterr().err

    assert "LookupError" in written
    assert "failed for" in written
    assert KEY not in written
    assert "jenny" not in written


def test_a_line_is_one_json_object_with_its_facts_as_fields(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("json")

    logging.getLogger("billing_service").warning(
        "verified", extra={"customer_id": "cus_1", "at": datetime(2026, 11, 2, tzinfo=UTC)}
    )

    (line,) = capsys.readouterr().err.splitlines()
    written = json.loads(line)
    assert written.pop("timestamp").endswith("Z")
    assert written == {
        "event": "verified",
        "level": "warning",
        "logger": "billing_service",
        "customer_id": "cus_1",
        "at": "datetime.datetime(2026, 11, 2, 0, 0, tzinfo=datetime.timezone.utc)",
    }


def test_chatty_libraries_are_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json")

    for name in ("stripe", "aiohttp.access", "alembic"):
        logging.getLogger(name).info("something happened")
    logging.getLogger("ours").info("heard")

    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["heard"]
