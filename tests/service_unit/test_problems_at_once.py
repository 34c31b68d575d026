"""Every problem of the settings is told at once, by name and never with a value."""

import pytest

from billing_service.settings import ServiceSettings
from subscription_state.settings import SettingsInvalid, load


def problems() -> list[str]:
    with pytest.raises(SettingsInvalid) as invalid:
        load(ServiceSettings)
    return str(invalid.value).splitlines()


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    for name in ServiceSettings.model_fields:
        monkeypatch.delenv(f"PAIDUP_{name.upper()}", raising=False)


def test_an_unreadable_file_does_not_hide_what_else_is_wrong(monkeypatch, tmp_path):
    monkeypatch.setenv("PAIDUP_STRIPE_API_KEY_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("PAIDUP_GRACE_DAYS", "many")
    monkeypatch.setenv("PAIDUP_GRPC_LISTEN", "here")

    told = problems()

    assert [line.partition(":")[0] for line in told] == [
        "PAIDUP_GRACE_DAYS",
        "PAIDUP_GRPC_LISTEN",
        "PAIDUP_STRIPE_API_KEY_FILE",
        "PAIDUP_STRIPE_PUBLISHABLE_KEY",
    ]


def test_a_file_that_is_no_text_is_told_of(monkeypatch, tmp_path):
    key = tmp_path / "key"
    key.write_bytes(b"\xff\xfe")
    monkeypatch.setenv("PAIDUP_STRIPE_API_KEY_FILE", str(key))
    monkeypatch.setenv("PAIDUP_STRIPE_PUBLISHABLE_KEY", "pk_test_x")

    assert problems() == ["PAIDUP_STRIPE_API_KEY_FILE: is not text in UTF-8"]


@pytest.mark.parametrize(
    "url", ["postgresql+asyncpg://u:hunter2@host:port/db", "mysql://u:hunter2@host/db", "hunter2"]
)
def test_a_database_that_cannot_be_meant_is_told_without_its_password(monkeypatch, url):
    monkeypatch.setenv("PAIDUP_DATABASE_URL", url)
    monkeypatch.setenv("PAIDUP_STRIPE_API_KEY", "sk_test_x")
    monkeypatch.setenv("PAIDUP_STRIPE_PUBLISHABLE_KEY", "pk_test_x")

    (told,) = problems()

    assert told.startswith("PAIDUP_DATABASE_URL: must be a URL of")
    assert "hunter2" not in told
