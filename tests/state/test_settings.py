"""Settings: every problem at once, by the variable's name, never with a value."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field
from pydantic_settings import NoDecode

from subscription_state.postgresql import Connections
from subscription_state.settings import (
    Listen,
    SettingsInvalid,
    StateSettings,
    is_loopback,
    load,
)


class Settings(StateSettings):
    """A process's own settings, of the kinds that processes have."""

    api_key: str = Field(min_length=8)
    other_key: str
    listen: Listen = "127.0.0.1:8080"
    days: int = 3
    secrets: Annotated[tuple[str, ...], NoDecode] = ()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    for name in list(os.environ):
        if name.startswith("PAIDUP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PAIDUP_API_KEY", "sk_test_valid")
    monkeypatch.setenv("PAIDUP_OTHER_KEY", "rk_test_valid")
    return monkeypatch


def problems() -> list[str]:
    with pytest.raises(SettingsInvalid) as caught:
        load(Settings)
    assert caught.value.__cause__ is None
    return str(caught.value).splitlines()


def names(lines: list[str]) -> list[str]:
    return [line.partition(":")[0] for line in lines]


def test_the_defaults_are_one_file_and_json() -> None:
    loaded = load(StateSettings)

    assert loaded.database_url == "sqlite+aiosqlite:///var/paidup.db"
    assert loaded.log_format == "json"


def test_all_problems_are_told_at_once_by_name(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PAIDUP_DATABASE_URL", "mysql://hunter2@host")
    environment.setenv("PAIDUP_LOG_FORMAT", "hunter2")
    environment.setenv("PAIDUP_API_KEY", "hunter2")
    environment.delenv("PAIDUP_OTHER_KEY")
    environment.setenv("PAIDUP_LISTEN", "hunter2")
    environment.setenv("PAIDUP_DAYS", "hunter2")

    lines = problems()

    assert names(lines) == [
        "PAIDUP_API_KEY",
        "PAIDUP_DATABASE_URL",
        "PAIDUP_DAYS",
        "PAIDUP_LISTEN",
        "PAIDUP_LOG_FORMAT",
        "PAIDUP_OTHER_KEY",
    ]
    assert lines[-1] == "PAIDUP_OTHER_KEY: is required"
    assert "hunter2" not in "".join(lines)


def test_what_is_not_ours_is_nobodys_problem(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PAIDUP_SOMETHING_ELSE", "x")
    environment.setenv("DATABASE_URL", "x")

    assert load(Settings).api_key == "sk_test_valid"


def test_settings_do_not_change_once_loaded() -> None:
    loaded = load(Settings)

    with pytest.raises(ValueError, match="frozen"):
        loaded.days = 5


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "0.0.0.0:65535", "[::1]:8080", "host:80"])
def test_an_address_to_listen_on_is_a_host_and_a_port(
    environment: pytest.MonkeyPatch, listen: str
) -> None:
    environment.setenv("PAIDUP_LISTEN", listen)

    assert load(Settings).listen == listen


@pytest.mark.parametrize("listen", ["8080", ":8080", "host:", "host:65536", "host:-1", "host:x"])
def test_anything_else_is_not(environment: pytest.MonkeyPatch, listen: str) -> None:
    environment.setenv("PAIDUP_LISTEN", listen)

    assert names(problems()) == ["PAIDUP_LISTEN"]


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("127.0.0.1:1", True),
        ("localhost:1", True),
        ("[::1]:1", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("127.0.0.1.example.com:1", False),
        ("10.0.0.1:1", False),
    ],
)
def test_loopback_is_told_from_the_network(listen: str, *, expected: bool) -> None:
    assert is_loopback(listen) is expected


class TestFiles:
    @pytest.fixture
    def secret(self, tmp_path: Path) -> Path:
        return tmp_path / "secret"

    def test_a_setting_may_be_in_a_file(
        self, environment: pytest.MonkeyPatch, secret: Path
    ) -> None:
        secret.write_text("sk_test_from_file\n")
        environment.delenv("PAIDUP_API_KEY")
        environment.setenv("PAIDUP_API_KEY_FILE", str(secret))

        assert load(Settings).api_key == "sk_test_from_file"

    def test_the_variable_goes_before_the_file(
        self, environment: pytest.MonkeyPatch, secret: Path
    ) -> None:
        secret.write_text("sk_test_from_file")
        environment.setenv("PAIDUP_API_KEY_FILE", str(secret))

        assert load(Settings).api_key == "sk_test_valid"

    def test_what_is_wrong_in_a_file_is_told_by_the_settings_name(
        self, environment: pytest.MonkeyPatch, secret: Path
    ) -> None:
        secret.write_text("hunter2")
        environment.delenv("PAIDUP_API_KEY")
        environment.setenv("PAIDUP_API_KEY_FILE", str(secret))

        lines = problems()

        assert names(lines) == ["PAIDUP_API_KEY"]
        assert "hunter2" not in lines[0]

    @pytest.mark.parametrize("bad", ["missing", "a directory", "not text"])
    def test_a_file_that_cannot_be_read_is_told_with_all_else(
        self, environment: pytest.MonkeyPatch, secret: Path, bad: str
    ) -> None:
        if bad == "a directory":
            secret.mkdir()
        elif bad == "not text":
            secret.write_bytes(b"hunter2\xff")
        environment.delenv("PAIDUP_API_KEY")
        environment.delenv("PAIDUP_OTHER_KEY")
        environment.setenv("PAIDUP_API_KEY_FILE", str(secret))
        environment.setenv("PAIDUP_DAYS", "many")

        lines = problems()

        assert names(lines) == ["PAIDUP_API_KEY_FILE", "PAIDUP_DAYS", "PAIDUP_OTHER_KEY"]
        assert "hunter2" not in "".join(lines)


class TestPostgresql:
    URL = "postgresql+asyncpg://me:hunter2@server/paidup"
    DIRECT = "postgresql+asyncpg://me:hunter2@direct/paidup"

    def test_it_listens_where_it_writes(self, environment: pytest.MonkeyPatch) -> None:
        environment.setenv("PAIDUP_DATABASE_URL", self.URL)

        assert load(StateSettings).address_to_listen_at == self.URL

    def test_behind_a_pooler_it_listens_only_past_it(self, environment: pytest.MonkeyPatch) -> None:
        environment.setenv("PAIDUP_DATABASE_URL", self.URL)
        environment.setenv("PAIDUP_DATABASE_POOLER", "transaction")

        assert load(StateSettings).address_to_listen_at is None
        environment.setenv("PAIDUP_DATABASE_LISTEN_URL", self.DIRECT)
        assert load(StateSettings).address_to_listen_at == self.DIRECT

    def test_it_need_not_listen(self, environment: pytest.MonkeyPatch) -> None:
        environment.setenv("PAIDUP_DATABASE_LISTEN_URL", self.DIRECT)
        environment.setenv("PAIDUP_DATABASE_WAKEUPS", "false")

        assert load(StateSettings).address_to_listen_at is None

    def test_on_sqlite_there_is_nothing_to_listen_to(self) -> None:
        assert load(StateSettings).address_to_listen_at is None

    def test_its_connections_are_limited_by_settings(self, environment: pytest.MonkeyPatch) -> None:
        environment.setenv("PAIDUP_DATABASE_POOL_SIZE", "2")
        environment.setenv("PAIDUP_DATABASE_POOL_OVERFLOW", "0")
        environment.setenv("PAIDUP_DATABASE_POOLER", "transaction")

        wanted = Connections(size=2, overflow=0, transaction_pooler=True)
        assert load(StateSettings).connections == wanted

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("DATABASE_LISTEN_URL", "sqlite+aiosqlite:///hunter2.db"),
            ("DATABASE_LISTEN_URL", "hunter2"),
            ("DATABASE_POOLER", "hunter2"),
            ("DATABASE_POOL_SIZE", "0"),
            ("DATABASE_POOL_OVERFLOW", "-1"),
        ],
    )
    def test_what_is_wrong_is_named(
        self, environment: pytest.MonkeyPatch, name: str, value: str
    ) -> None:
        environment.setenv(f"PAIDUP_{name}", value)

        [line] = [each for each in problems() if name in each]

        assert line.startswith(f"PAIDUP_{name}: ")
        assert "hunter2" not in line
