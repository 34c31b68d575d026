"""The commands as a person runs them: exit codes, and no traceback for what is expected."""

import asyncio
import os
import subprocess
import sys
from datetime import timedelta

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from billing_service import catalog_commands, cli, doctor, stripe_api
from billing_service.errors import StripeUnavailable
from billing_service.mirror import Mirror
from demo.stack import API_KEY, CATALOG, PUBLISHABLE_KEY
from subscription_state import deployment, touches
from tests.builders import NOW
from tests.service_unit.conftest import settings_for

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOWHERE = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--help"], "migrate"),
        (["serve", "--help"], "SIGTERM"),
        (["doctor", "--help"], "wrong"),
        (["catalog", "apply", "--help"], "--yes"),
    ],
)
async def test_every_command_explains_itself(arguments, named):
    done = CliRunner().invoke(cli.app, arguments, env={"COLUMNS": "200", "TERM": "dumb"})

    assert done.exit_code == 0
    assert named in done.output


@pytest.mark.parametrize("command", [["serve"], ["doctor"], ["catalog", "apply", str(CATALOG)]])
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


@pytest.fixture
def examined(capsys, monkeypatch):
    monkeypatch.setattr(stripe_api, "NETWORK_RETRIES", 0)
    monkeypatch.setenv("COLUMNS", "200")

    async def examine(api_base: str, database_url: str) -> tuple[bool, str]:
        healthy = await doctor.examine(settings_for(api_base, database_url))
        return healthy, " ".join(capsys.readouterr().out.split())

    return examine


@pytest.fixture
def bound(database):
    async def bind(account_id: str | None) -> None:
        await database.write(
            lambda connection: deployment.bind(
                connection, livemode=False, stripe_account_id=account_id
            )
        )

    return bind


async def test_the_doctor_finds_what_is_missing(examined, sold, tmp_path):
    healthy, text = await examined(sold.url, f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}")

    assert not healthy
    assert "test mode, of account acct_" in text
    assert text.count("The schema is at nothing") == 5
    assert "PAIDUP_WEBHOOK_SECRETS is not set" in text


async def test_the_doctor_names_customers_that_were_given_up(
    examined, sold, database, database_url
):
    async def park(connection) -> None:
        for customer_id in ("cus_1", "cus_2"):
            await touches.touch(connection, customer_id, ticket=1, urgent=True, now=NOW)
            await touches.park(connection, customer_id, up_to=1, attempts=10, error="StripeRefused")

    await database.write(park)

    healthy, text = await examined(sold.url, database_url)

    assert not healthy
    for customer_id in ("cus_1", "cus_2"):
        assert f"{customer_id} (StripeRefused, 10 tries)" in text


async def test_the_doctor_shows_no_secret(examined, sold, database_url, monkeypatch):
    secret = "whsec_0123456789abcdef"
    monkeypatch.setenv("PAIDUP_WEBHOOK_SECRETS", secret)

    _, text = await examined(sold.url, database_url)

    assert "present" in text
    assert secret not in text
    assert API_KEY not in text


@pytest.mark.parametrize("is_bound", [False, True])
async def test_the_doctor_is_content_where_the_account_is_not_yet_known(
    examined, sold, database_url, bound, is_bound
):
    if is_bound:
        await bound(None)

    _, text = await examined(sold.url, database_url)

    assert "not bound yet" in text
    assert "another account" not in text


async def test_the_doctor_finds_the_database_of_another(examined, sold, database_url, bound):
    await bound("acct_another")

    healthy, text = await examined(sold.url, database_url)

    assert not healthy
    assert "another account or mode" in text


async def test_the_doctor_says_that_stripe_is_away(examined, database_url):
    healthy, text = await examined(NOWHERE, database_url)

    assert not healthy
    assert "Stripe did not answer" in text


async def test_the_doctor_shows_brackets_as_they_are(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    finding = doctor.Finding(subject="x", ok=False, text="Stripe refused line_items[0][price]")

    doctor._show([finding])

    assert "line_items[0][price]" in capsys.readouterr().out


@pytest_asyncio.fixture(loop_scope="session")
async def running(bound, database, at_emulator):
    """A database as a service leaves it that has run for a while."""
    await bound(await at_emulator.account_id())
    await Mirror(database, at_emulator, interval=timedelta(0)).refresh()


async def test_the_doctor_is_content_when_all_is_well(
    examined, sold, running, database_url, monkeypatch
):
    monkeypatch.setenv("PAIDUP_WEBHOOK_SECRETS", "whsec_0123456789abcdef")

    healthy, text = await examined(sold.url, database_url)

    assert healthy, text
