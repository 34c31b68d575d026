"""Signing secrets: how they are given, and how they are rolled."""

import logging
from pathlib import Path

import pytest

from webhook_gateway import signing_secrets
from webhook_gateway.metrics import Metrics
from webhook_gateway.signing_secrets import SigningSecrets


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def secrets(metrics: Metrics) -> SigningSecrets:
    return SigningSecrets("whsec_old", metrics=metrics)


@pytest.mark.parametrize(
    "text",
    [
        "whsec_a,whsec_b",
        "whsec_a\nwhsec_b\n",
        " whsec_a , whsec_b ",
        "whsec_a,\r\n,whsec_b,whsec_a",
    ],
)
def test_secrets_are_comma_or_line_separated(text: str) -> None:
    assert signing_secrets.parse(text) == (b"whsec_a", b"whsec_b")


@pytest.mark.parametrize("text", ["", " \n", ",", "whsec_", "sk_test_1", "whsec_a,secret"])
def test_what_is_no_secret_is_refused_without_being_told(text: str) -> None:
    with pytest.raises(ValueError, match="signing secret") as refused:
        signing_secrets.parse(text)

    assert "sk_test_1" not in str(refused.value)


async def test_a_changed_file_is_taken_over(
    secrets: SigningSecrets, metrics: Metrics, tmp_path: Path
) -> None:
    path = tmp_path / "secrets"
    path.write_text("whsec_new\nwhsec_old\n")

    await secrets.read_again(path)

    assert secrets.current == (b"whsec_new", b"whsec_old")
    assert _reloads(metrics, "changed") == 1


@pytest.mark.parametrize("content", [b"", b"\n", b"sk_test_1", b"\xff\xfe", None])
async def test_a_file_that_cannot_be_read_changes_nothing_and_is_logged_once(
    secrets: SigningSecrets,
    metrics: Metrics,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    content: bytes | None,
) -> None:
    path = tmp_path / "secrets"
    if content is not None:
        path.write_bytes(content)

    for _ in range(3):
        await secrets.read_again(path)

    assert secrets.current == (b"whsec_old",)
    assert _reloads(metrics, "failed") == 3
    assert [record.getMessage() for record in caplog.records] == ["webhook_secrets_unreadable"]
    assert "sk_test_1" not in caplog.text


async def test_a_file_that_broke_twice_is_logged_twice(
    secrets: SigningSecrets, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "secrets"
    for content in ("", "whsec_old", ""):
        path.write_text(content)
        await secrets.read_again(path)

    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.ERROR]


async def test_an_unchanged_file_is_no_news(
    secrets: SigningSecrets, metrics: Metrics, tmp_path: Path
) -> None:
    path = tmp_path / "secrets"
    path.write_text("whsec_old\n")

    await secrets.read_again(path)

    assert _reloads(metrics, "changed") == 0


def _reloads(metrics: Metrics, result: str) -> float:
    name = "paidup_webhook_secrets_reloads_total"
    return metrics.registry.get_sample_value(name, {"result": result}) or 0.0
