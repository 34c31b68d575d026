"""Key files: how they are given, made, and changed while processes run."""

import base64
import logging
import os
import stat

import pytest

from subscription_state import key_files
from subscription_state.encryption import Keyring
from subscription_state.key_files import KeyFollower, KeysInvalid
from subscription_state.settings import SettingsInvalid, StateSettings, load

SECRET = base64.b64encode(b"not so secret" * 2 + b"123456").decode()


def _ids(setting):
    return [key.key_id for key in key_files.read(str(setting))]


def test_a_new_key_is_for_its_owner_alone(tmp_path):
    made = key_files.make(tmp_path / "key")

    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert _ids(tmp_path / "key") == [made.key_id]


def test_the_owner_alone_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        key_files.make(tmp_path / "key")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_a_key_is_never_replaced(tmp_path):
    made = key_files.make(tmp_path / "key")

    with pytest.raises(FileExistsError):
        key_files.make(tmp_path / "key")

    assert _ids(tmp_path / "key") == [made.key_id]


def test_files_are_read_in_the_order_in_which_they_are_named(tmp_path):
    made = {name: key_files.make(tmp_path / name) for name in ("b", "a")}

    ids = _ids(f"{tmp_path / 'b'}, {tmp_path / 'a'},")

    assert ids == [made["b"].key_id, made["a"].key_id]


def test_of_a_directory_the_last_name_comes_first(tmp_path):
    made = {name: key_files.make(tmp_path / name) for name in ("2026-11", "2027-01", "2026-12")}

    assert _ids(tmp_path) == [made[name].key_id for name in ("2027-01", "2026-12", "2026-11")]


def test_a_mounted_secret_is_read_through_its_links(tmp_path):
    (tmp_path / "..2026_11_23").mkdir()
    made = key_files.make(tmp_path / "..2026_11_23" / "key")
    (tmp_path / "..data").symlink_to("..2026_11_23")
    (tmp_path / "key").symlink_to("..data/key")

    assert _ids(tmp_path) == [made.key_id]


def test_without_the_setting_there_is_no_key():
    assert key_files.read("") == []


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"hunter2", b"a" * 5000, b"\xff" * 44, SECRET[:40].encode()]
)
def test_what_is_no_key_is_named_and_not_shown(tmp_path, content):
    (tmp_path / "key").write_bytes(content)

    with pytest.raises(KeysInvalid) as refused:
        key_files.read(str(tmp_path / "key"))

    assert str(refused.value) == f"{tmp_path / 'key'} must hold one line: 32 bytes in base64"


def test_all_that_is_wrong_is_told_at_once(tmp_path):
    (tmp_path / "bad").write_text("hunter2")
    named = [str(tmp_path / name) for name in ("bad", "absent")]

    with pytest.raises(KeysInvalid) as refused:
        key_files.read(",".join(named))

    assert all(name in str(refused.value) for name in named)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("setting", [",", " , "])
def test_a_setting_that_names_nothing_is_refused(setting):
    with pytest.raises(KeysInvalid, match="names no file"):
        key_files.read(setting)


def test_a_directory_without_keys_is_refused(tmp_path):
    with pytest.raises(KeysInvalid, match="names no file"):
        key_files.read(str(tmp_path))


def test_no_process_starts_with_keys_that_it_cannot_read(tmp_path, monkeypatch):
    monkeypatch.setenv("PAIDUP_ENCRYPTION_KEY_FILES", str(tmp_path / "absent"))
    monkeypatch.setenv("PAIDUP_DATABASE_POOL_SIZE", "0")

    with pytest.raises(SettingsInvalid) as refused:
        load(StateSettings)

    first, second = str(refused.value).splitlines()
    assert first.startswith("PAIDUP_DATABASE_POOL_SIZE: ")
    assert second == (
        f"PAIDUP_ENCRYPTION_KEY_FILES: {tmp_path / 'absent'} cannot be read "
        "(No such file or directory)"
    )


@pytest.fixture
def followed(tmp_path):
    """Give a directory with one key, a keyring that follows it, and what was told."""
    key_files.make(tmp_path / "1")
    told = []
    keyring = Keyring(key_files.read(str(tmp_path)))
    return tmp_path, keyring, KeyFollower(str(tmp_path), keyring, told=told.append), told


async def test_a_key_that_is_added_is_taken_over(followed):
    directory, keyring, follower, told = followed
    made = key_files.make(directory / "2")

    await follower.read_again()
    await follower.read_again()

    assert keyring.mark == made.mark
    assert (len(keyring.keys), told) == (2, ["changed"])


@pytest.mark.parametrize("fault", ["empty", "malformed", "gone"])
async def test_keys_that_cannot_be_read_change_nothing_and_are_logged_once(followed, fault, caplog):
    directory, keyring, follower, told = followed
    before = keyring.mark
    if fault == "malformed":
        (directory / "2").write_text("hunter2")
    else:
        (directory / "1").unlink()
    if fault == "gone":
        directory.rmdir()

    await follower.read_again()
    await follower.read_again()

    assert keyring.mark == before
    assert told == ["failed", "failed"]
    assert [(each.levelno, each.getMessage()) for each in caplog.records] == [
        (logging.ERROR, "encryption_keys_unreadable")
    ]
    assert "hunter2" not in caplog.text


async def test_without_the_setting_nothing_is_followed():
    told = []

    await KeyFollower("", Keyring(), told=told.append).read_again()

    assert told == []
