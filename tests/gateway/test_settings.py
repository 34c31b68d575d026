"""What the gateway is told at its start, and what it tells when that is wrong."""

import socket
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from typer.testing import CliRunner, Result

from subscription_state.settings import load
from tests.gateway.clients import SECRET, Stripe, an_event, until
from tests.gateway.databases import Sqlite
from tests.gateway.processes import a_process, run_to_its_end
from webhook_gateway import server
from webhook_gateway.__main__ import cli
from webhook_gateway.connections import Connections
from webhook_gateway.metrics import Metrics
from webhook_gateway.settings import GatewaySettings


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in GatewaySettings.model_fields:
        monkeypatch.delenv(f"PAIDUP_{name.upper()}", raising=False)


def started_with(**settings: str) -> Result:
    """Run the command in this process, with settings that it cannot start with."""
    return CliRunner().invoke(
        cli, env={f"PAIDUP_{name}": value for name, value in settings.items()}
    )


def test_all_wrong_settings_are_told_at_once_and_by_name() -> None:
    ended = run_to_its_end(
        DATABASE_URL="mysql://root:hunter2@localhost/paidup",
        WEBHOOK_SECRETS="sk_test_secret",
        GATEWAY_LISTEN="8080",
        LOG_FORMAT="xml",
    )

    assert (ended.returncode, ended.stdout) == (2, "")
    names = [line.partition(":")[0] for line in ended.stderr.splitlines()]
    assert names == [
        "PAIDUP_DATABASE_URL",
        "PAIDUP_GATEWAY_LISTEN",
        "PAIDUP_LOG_FORMAT",
        "PAIDUP_WEBHOOK_SECRETS",
    ]
    assert "hunter2" not in ended.stderr
    assert "sk_test_secret" not in ended.stderr


def test_a_busy_port_is_told_by_its_setting(sqlite: Sqlite) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        listen = f"127.0.0.1:{port}"
        ended = run_to_its_end(
            DATABASE_URL=sqlite.url, WEBHOOK_SECRETS=SECRET, GATEWAY_LISTEN=listen
        )

    told = f"Port {port} of 127.0.0.1 is in use; choose another with PAIDUP_GATEWAY_LISTEN.\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", told)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
async def test_an_address_that_is_not_here_is_told(host: str) -> None:
    runner = server._runner(web.Application())

    with pytest.raises(server.CannotListen, match="PAIDUP_GATEWAY_LISTEN: cannot listen on"):
        await server._listen(runner, f"{host}:0", Connections(Metrics(), most=1))

    await runner.cleanup()


@pytest.mark.parametrize("settings", [{}, {"WEBHOOK_SECRETS": ""}])
def test_missing_secrets_are_told(settings: dict[str, str]) -> None:
    ended = started_with(**settings)

    assert (ended.exit_code, ended.stderr) == (2, "PAIDUP_WEBHOOK_SECRETS: is required\n")


def test_secrets_from_two_places_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "secrets"
    path.write_text("whsec_a")

    ended = started_with(WEBHOOK_SECRETS="whsec_b", WEBHOOK_SECRETS_FILE=str(path))

    assert ended.exit_code == 2
    assert ended.stderr.startswith("PAIDUP_WEBHOOK_SECRETS_FILE: give the secrets here or in")


def test_an_unreadable_file_of_secrets_is_told(tmp_path: Path) -> None:
    ended = started_with(WEBHOOK_SECRETS_FILE=str(tmp_path / "nowhere"))

    told = "PAIDUP_WEBHOOK_SECRETS_FILE: No such file or directory\n"
    assert (ended.exit_code, ended.stderr) == (2, told)


def test_a_file_that_holds_no_secrets_is_told(tmp_path: Path) -> None:
    path = tmp_path / "secrets"
    path.write_text("sk_test_secret")

    ended = started_with(WEBHOOK_SECRETS_FILE=str(path))

    assert ended.exit_code == 2
    assert ended.stderr.startswith("PAIDUP_WEBHOOK_SECRETS: must be signing secrets")
    assert "sk_test_secret" not in ended.stderr


@pytest.mark.parametrize(
    "url",
    ["postgresql+asyncpg://paidup:hunter2@host:port/paidup", "sqlite+aiosqlite:////proc/1/x/y.db"],
)
def test_a_database_that_cannot_be_opened_is_told_without_its_url(url: str) -> None:
    ended = started_with(WEBHOOK_SECRETS=SECRET, DATABASE_URL=url)

    assert ended.exit_code == 2
    assert ended.stderr.startswith("PAIDUP_DATABASE_URL: ")
    assert "hunter2" not in ended.stderr


def test_the_help_names_every_setting() -> None:
    ended = CliRunner().invoke(cli, ["--help"], env={"COLUMNS": "100"})

    assert ended.exit_code == 0
    for name in GatewaySettings.model_fields:
        assert f"PAIDUP_{name.upper()}" in ended.stdout


def test_every_setting_is_described_and_the_defaults_are_loopback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PAIDUP_WEBHOOK_SECRETS", "whsec_a")

    settings = load(GatewaySettings)

    assert settings.gateway_listen == "127.0.0.1:8080"
    assert all(field.description for field in GatewaySettings.model_fields.values())
    assert "whsec_a" not in repr(settings)


async def test_secrets_are_rolled_in_their_file_without_a_restart(
    sqlite: Sqlite, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    path = tmp_path / "secrets"
    path.write_text("whsec_old\n")
    files = {"WEBHOOK_SECRETS": "", "WEBHOOK_SECRETS_FILE": str(path)}
    with a_process(tmp_path, DATABASE_URL=sqlite.url, **files) as process:
        stripe = Stripe(session, await process.url())
        old = await stripe.deliver(an_event(1), secret="whsec_old")
        new = await stripe.deliver(an_event(2), secret="whsec_new")
        path.write_text("whsec_new\nwhsec_old\n")

        async def is_rolled() -> bool:
            return (await stripe.deliver(an_event(2), secret="whsec_new")).status == 200

        await until(is_rolled)
        both = await stripe.deliver(an_event(3), secret="whsec_old")
        path.write_text("")

        async def is_noticed() -> bool:
            name = "paidup_webhook_secrets_reloads_total"
            return await stripe.metric(name, result="failed") > 0

        await until(is_noticed)
        still = await stripe.deliver(an_event(4), secret="whsec_new")

    assert [old.status, new.status, both.status, still.status] == [200, 400, 200, 200]
    assert "webhook_secrets_unreadable" in process.log
