"""The page of settings says what the settings say."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from billing_service.settings import ServiceSettings
from billing_service.webhook_settings import WebhookSettings
from docs import configuration
from subscription_state.settings import PREFIX, StateSettings
from webhook_gateway.settings import GatewaySettings


def _command() -> typer.Typer:
    app = typer.Typer()
    app.command()(configuration.main)
    return app


def test_it_is_up_to_date() -> None:
    assert configuration.PAGE.read_text() == configuration.page()


@pytest.mark.parametrize("settings", [ServiceSettings, WebhookSettings, GatewaySettings])
def test_every_setting_is_described(settings: type[StateSettings]) -> None:
    text = configuration.page()

    missing = [
        name
        for name, field in settings.model_fields.items()
        if f"`{PREFIX}{name.upper()}`" not in text or (field.description or "?") not in text
    ]

    assert missing == []


def test_the_default_of_a_secret_is_never_shown() -> None:
    rows = [line for line in configuration.page().splitlines() if "API_KEY`" in line]

    assert [row.split("|")[2].strip() for row in rows] == ["secret"]


def test_a_check_of_a_page_that_differs_fails_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "configuration.md"
    other.write_text("something else")
    monkeypatch.setattr(configuration, "PAGE", other)

    ended = CliRunner().invoke(_command(), ["--check"])

    assert (ended.exit_code, other.read_text()) == (1, "something else")
    assert "python -m docs.configuration" in ended.output


def test_without_check_the_page_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration, "PAGE", tmp_path / "configuration.md")

    written = CliRunner().invoke(_command(), [])
    checked = CliRunner().invoke(_command(), ["--check"])

    assert (written.exit_code, checked.exit_code) == (0, 0)
