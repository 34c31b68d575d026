"""`migrate` as a person and as a pod runs it."""

import asyncio
from functools import partial

import pytest
from typer.testing import CliRunner

from billing_service import cli, migrate_command
from subscription_state import migrate
from subscription_state.database import Database
from subscription_state.errors import SchemaOutdated
from subscription_state.schema_history import OURS, Phase
from subscription_state.settings import StateSettings
from tests.state.future import ADDING, TAKING


@pytest.fixture
def url(tmp_path):
    return f"sqlite+aiosqlite:///{tmp_path / 'paidup.db'}"


@pytest.fixture
def run(url):
    def run_migrate(*arguments):
        env = {"PAIDUP_DATABASE_URL": url, "COLUMNS": "200", "TERM": "dumb"}
        done = CliRunner().invoke(cli.app, ["migrate", *arguments], env=env)
        return done.exit_code, done.output

    return run_migrate


def _upgrade(url, phase, history):
    async def upgrade():
        database = Database.at(url)
        await migrate.upgrade(database, phase, history=history)
        await database.close()

    asyncio.run(upgrade())


def test_it_says_how_far_the_schema_is(run):
    assert run("--phase", "before") == (
        0,
        f"The schema is at version {OURS.newest}; this version can run on it.\n",
    )
    assert run() == run("--phase", "all") == run("--phase", "after") == run("--check")


def test_a_check_changes_nothing(run):
    for _ in range(2):
        code, text = run("--check")

        assert code == 1
        assert f"The schema is at nothing, {OURS.newest} is needed." in text


def test_an_older_version_leaves_a_newer_schema_alone(run, url):
    run()
    _upgrade(url, Phase.BEFORE, ADDING)

    code, text = run()

    assert code == 0
    assert "at version future_1; this version can run on it" in text


@pytest.mark.parametrize("arguments", [[], ["--check"], ["--check", "--wait", "60"]])
def test_a_version_that_is_too_old_is_told_so_at_once(run, url, arguments):
    run()
    _upgrade(url, None, TAKING)

    code, text = run(*arguments)

    assert code == 1
    assert "with future_2 it lost what this version needs: run a newer one" in text
    assert "Traceback" not in text


def test_it_names_what_is_left_for_afterwards(run, url, monkeypatch):
    run()
    monkeypatch.setattr(migrate, "look", partial(migrate.look, history=TAKING))
    monkeypatch.setattr(migrate, "check", partial(migrate.check, history=TAKING))
    _upgrade(url, Phase.BEFORE, TAKING)

    code, text = run("--check")

    assert code == 0
    assert (
        "When no older version runs any more, apply with `migrate --phase after`: future_2" in text
    )


async def test_a_check_waits_until_somebody_has_migrated(url, monkeypatch, capsys):
    monkeypatch.setattr(migrate_command, "LOOK_EVERY", 0.01)
    database = Database.at(url)
    settings = StateSettings(database_url=url)
    waiting = asyncio.create_task(migrate_command.check(settings, wait=60))
    await asyncio.sleep(0)

    await migrate.upgrade(database)
    await waiting
    await database.close()

    assert f"at version {OURS.newest}" in capsys.readouterr().out


async def test_a_check_does_not_wait_for_ever(url, monkeypatch):
    monkeypatch.setattr(migrate_command, "LOOK_EVERY", 0.01)

    with pytest.raises(SchemaOutdated):
        await migrate_command.check(StateSettings(database_url=url), wait=0.1)
