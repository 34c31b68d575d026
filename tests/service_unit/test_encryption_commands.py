"""`key` and `reencrypt` as a person runs them, and what `doctor` says of bodies."""

import asyncio
import os
import stat
import subprocess
import sys

import pytest
import pytest_asyncio

from billing_service import doctor, encryption_commands
from billing_service.findings import Patient
from subscription_state import deployment, key_files
from subscription_state.encryption import Key
from tests.builders import a_stripe_customer, a_stripe_event
from tests.service_unit.conftest import settings_for
from tests.state import steps

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOST = Key(b"l" * 32)


async def _command(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "billing_service", *arguments],
        env={**os.environ, **settings, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest_asyncio.fixture(loop_scope="session")
async def stored(database):
    """Give a way to store events, so many, under what key the database has then."""
    await database.write(
        lambda connection: deployment.bind(connection, livemode=False, stripe_account_id="acct_x")
    )

    async def store(*numbers: int) -> None:
        await steps.deliver(
            database,
            *(
                a_stripe_event("customer.updated", a_stripe_customer(id=f"cus_{n}"), id=f"evt_{n}")
                for n in numbers
            ),
        )

    return store


@pytest.fixture
def key_file(tmp_path):
    key_files.make(tmp_path / "key")
    return tmp_path / "key"


async def test_a_key_is_made_and_never_shown(tmp_path):
    path = tmp_path / "key"

    done = await _command("key", str(path))

    assert (done.returncode, done.stderr) == (0, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().strip() not in done.stdout
    (key,) = key_files.read(str(path))
    assert key.key_id in done.stdout


async def test_a_file_that_is_there_is_not_replaced(key_file):
    before = key_file.read_bytes()

    done = await _command("key", str(key_file))

    assert (done.returncode, key_file.read_bytes()) == (1, before)
    assert done.stderr == f"{key_file}: File exists\n"


async def test_without_a_key_there_is_nothing_to_encrypt_with(database_url):
    done = await _command("reencrypt", PAIDUP_DATABASE_URL=database_url)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "PAIDUP_ENCRYPTION_KEY_FILES names no key to encrypt with.\n"


async def test_all_is_encrypted_and_told(stored, key_file, database_url):
    await stored(1, 2)
    settings = {"PAIDUP_DATABASE_URL": database_url, "PAIDUP_ENCRYPTION_KEY_FILES": str(key_file)}

    first = await _command("reencrypt", **settings)
    again = await _command("reencrypt", **settings)

    (key,) = key_files.read(str(key_file))
    assert (first.returncode, again.returncode) == (0, 0)
    assert first.stdout.splitlines() == [
        f"Encrypted 2 bodies with key {key.key_id}.",
        "No body needs another key: other keys can be dropped.",
    ]
    assert again.stdout.startswith("Encrypted 0 bodies")


async def test_what_is_left_is_told_with_its_key(stored, database, key_file, database_url):
    await stored(1)
    database.keyring.replace([LOST])
    await stored(2)

    done = await _command(
        "reencrypt", PAIDUP_DATABASE_URL=database_url, PAIDUP_ENCRYPTION_KEY_FILES=str(key_file)
    )

    assert done.returncode == 1
    assert f"1 are not: encrypted with key {LOST.key_id}." in done.stdout
    assert "evt_2 could not be opened: EncryptionKeyMissing" in done.stdout
    assert "dropped" not in done.stdout


async def test_a_database_that_was_never_migrated_is_told_without_a_traceback(key_file, tmp_path):
    done = await _command(
        "reencrypt",
        PAIDUP_DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}",
        PAIDUP_ENCRYPTION_KEY_FILES=str(key_file),
    )

    assert done.returncode == 1
    assert "The schema is at nothing" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def looked(database, database_url):
    async def look() -> tuple[str, str]:
        settings = settings_for("http://127.0.0.1:1", database_url)
        patient = Patient(
            settings=settings, database=database, stripe=None, webhook_url="", gateway_url=""
        )
        found = await doctor.LOOKS["bodies of events"](patient)
        return found.level.value, found.text

    return look


async def test_the_doctor_says_that_bodies_are_in_the_clear(stored, looked):
    await stored(1)

    assert await looked() == ("ok", "stored in the clear: no key is configured")


async def test_the_doctor_counts_what_is_encrypted(stored, looked, database):
    database.keyring.replace([LOST])
    await stored(1, 2)

    assert await looked() == ("ok", "2 are encrypted")


async def test_the_doctor_finds_a_gateway_without_keys(stored, looked, database):
    await stored(1)
    database.keyring.replace([LOST])

    level, text = await looked()
    assert level == "problem"
    assert text.startswith("1 are stored in the clear: see that the gateway")


@pytest.mark.parametrize("keys", [[], [Key(b"o" * 32)]])
async def test_the_doctor_names_a_key_that_is_missing(stored, looked, database, keys):
    database.keyring.replace([LOST])
    await stored(1)
    database.keyring.replace(keys)

    level, text = await looked()
    assert level == "problem"
    assert LOST.key_id in text


async def test_a_long_run_says_now_and_then_how_far_it_is(
    stored, key_file, database_url, capsys, monkeypatch
):
    await stored(1, 2, 3)
    monkeypatch.setattr(encryption_commands, "LINE_EVERY", 0)
    monkeypatch.setattr(encryption_commands.reencryption, "BATCH", 2)
    settings = settings_for("http://127.0.0.1:1", database_url)
    with_key = settings.model_copy(update={"encryption_key_files": str(key_file)})

    assert await encryption_commands.reencrypt(with_key)
    assert "2 bodies are encrypted anew, up to evt_2." in capsys.readouterr().out
