"""The commands as a person runs them: exit codes, and no traceback for what is expected."""

import asyncio
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from billing_service import catalog_commands, cli, stripe_api
from billing_service.errors import StripeUnavailable
from demo.stack import API_KEY, CATALOG, PUBLISHABLE_KEY
from tests.service_unit.conftest import settings_for

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOWHERE = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--help"], "migrate"),
        (["serve", "--help"], "SIGTERM"),
        (["doctor", "--help"], "wrong"),
        (["webhooks", "ensure", "--help"], "--secret-file"),
        (["webhooks", "list", "--help"], "lacks"),
        (["catalog", "apply", "--help"], "--yes"),
    ],
)
async def test_every_command_explains_itself(arguments, named):
    done = CliRunner().invoke(cli.app, arguments, env={"COLUMNS": "200", "TERM": "dumb"})

    assert done.exit_code == 0
    assert named in done.output


@pytest.mark.parametrize(
    "command", [["serve"], ["doctor"], ["webhooks", "list"], ["catalog", "apply", str(CATALOG)]]
)
async def test_settings_that_are_missing_are_named_and_nothing_else_happens(command):
    done = CliRunner().invoke(cli.app, command)

    assert done.exit_code == 2
    assert isinstance(done.exception, SystemExit)


async def test_a_catalog_that_is_not_there_is_a_misuse():
    done = CliRunner().invoke(cli.app, ["catalog", "apply", "none.toml"])

    assert done.exit_code == 2


async def _catalog(file, api_base: str, database_url: str) -> subprocess.CompletedProcess[str]:
    settings = {
        "PAIDUP_DATABASE_URL": database_url,
        "PAIDUP_STRIPE_API_KEY": API_KEY,
        "PAIDUP_STRIPE_PUBLISHABLE_KEY": PUBLISHABLE_KEY,
        "PAIDUP_STRIPE_API_BASE": api_base,
    }
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "billing_service", "catalog", "apply", str(file)],
        env={**os.environ, **settings, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


async def test_a_catalog_that_is_wrong_is_told_without_a_traceback(tmp_path, database_url):
    file = tmp_path / "catalog.toml"
    file.write_text("[[product]]\nid = 7\n")

    done = await _catalog(file, NOWHERE, database_url)

    assert done.returncode == 1
    assert "catalog.toml" in done.stderr
    assert "Traceback" not in done.stderr


async def test_an_operator_who_says_no_changes_nothing(emulator, tmp_path, database_url):
    file = tmp_path / "catalog.toml"
    file.write_text('[[feature]]\nlookup_key = "refused"\nname = "Refused"\n')

    done = await _catalog(file, emulator.url, database_url)

    assert done.returncode == 1
    assert "create feature refused" in done.stdout
    assert "Traceback" not in done.stderr


async def test_stripe_away_is_expected(database_url, monkeypatch):
    monkeypatch.setattr(stripe_api, "NETWORK_RETRIES", 0)

    with pytest.raises(StripeUnavailable) as away:
        await catalog_commands.apply(settings_for(NOWHERE, database_url), CATALOG, ask=False)

    assert isinstance(away.value, cli.EXPECTED)
