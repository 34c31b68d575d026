"""Settings that both processes read, and how settings are read at all.

Every setting is an environment variable `PAIDUP_…`. Each problem is reported at
once, by the variable's name and never with its value.
"""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from subscription_state import key_files
from subscription_state.postgresql import Connections

PREFIX = "PAIDUP_"
MAX_PORT = 65535


class SettingsInvalid(Exception):
    """Settings are missing or wrong; one line a variable."""


def _listen(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or int(port) > MAX_PORT:
        message = "must be HOST:PORT, such as 127.0.0.1:8080"
        raise ValueError(message)
    return value


Listen = Annotated[str, AfterValidator(_listen)]


def _database_url(value: str) -> str:
    try:
        driver = make_url(value).drivername
    except (ArgumentError, ValueError):
        driver = ""
    if driver not in DRIVERS:
        message = f"must be a URL of {' or '.join(DRIVERS)}"
        # The text of the URL's own error would show its password.
        raise ValueError(message) from None
    return value


POSTGRESQL = "postgresql+asyncpg"
DRIVERS = ("sqlite+aiosqlite", POSTGRESQL)


def _listen_url(value: str) -> str:
    if value and not _database_url(value).startswith(f"{POSTGRESQL}:"):
        message = f"must be a URL of {POSTGRESQL}"
        raise ValueError(message)
    return value


LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})


def is_loopback(listen: str) -> bool:
    return listen.rpartition(":")[0] in LOOPBACK_HOSTS


class StateSettings(BaseSettings):
    """What every process of a deployment has to know."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True
    )

    database_url: Annotated[str, AfterValidator(_database_url)] = Field(
        default="sqlite+aiosqlite:///var/paidup.db",
        description="Where the shared state is: `sqlite+aiosqlite:///PATH` or "
        "`postgresql+asyncpg://USER:PASSWORD@HOST/DATABASE`.",
    )
    database_pool_size: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="PostgreSQL: how many connections a process keeps open once they were needed.",
    )
    database_pool_overflow: int = Field(
        default=10,
        ge=0,
        le=1000,
        description="PostgreSQL: how many connections more a process may have while many calls "
        "come at once. A call waits 5 seconds for one.",
    )
    database_pooler: Literal["none", "transaction"] = Field(
        default="none",
        description="`transaction` where `PAIDUP_DATABASE_URL` leads through a pooler in "
        "transaction mode, such as PgBouncer.",
    )
    database_wakeups: bool = Field(
        default=True,
        description="PostgreSQL: whether processes tell each other by `NOTIFY` that something "
        "changed, besides looking by themselves.",
    )
    database_listen_url: Annotated[str, AfterValidator(_listen_url)] = Field(
        default="",
        description="PostgreSQL: a way past the pooler for the service's one connection that "
        "hears `NOTIFY`, a URL as above. Behind a pooler it hears nothing without one, and looks "
        "by itself.",
    )
    encryption_key_files: Annotated[str, AfterValidator(key_files.check)] = Field(
        default="",
        description="Files of keys that bodies of events are encrypted with, comma separated: the "
        "first one encrypts, all decrypt. Or a directory of them, in which the last by name is "
        "the first. They are read again when they change. Without any, bodies are stored in the "
        "clear.",
    )
    log_format: Literal["json", "console"] = Field(
        default="json", description="How log lines are written: `json`, or `console` for people."
    )

    drain_seconds: float = Field(
        default=0,
        ge=0,
        le=60,
        description="How long calls and events are still taken after SIGTERM, while health and "
        "`/readyz` say that the process leaves.",
    )

    @property
    def connections(self) -> Connections:
        return Connections(
            size=self.database_pool_size,
            overflow=self.database_pool_overflow,
            transaction_pooler=self.database_pooler == "transaction",
        )

    @property
    def address_to_listen_at(self) -> str | None:
        """Where `NOTIFY` can be heard; None where it cannot, or nobody wants to."""
        if not self.database_wakeups:
            return None
        direct = None if self.connections.transaction_pooler else self.database_url
        url = self.database_listen_url or direct
        return url if url and url.startswith(f"{POSTGRESQL}:") else None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic names it
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - likewise
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings, env_settings, FileVariables(settings_cls))


class FileVariables(PydanticBaseSettingsSource):
    """Reads a setting from the file that `PAIDUP_<SETTING>_FILE` names, as secrets are mounted."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - pydantic's signature
        path = os.environ.get(_file_variable(field_name))
        try:
            value = Path(path).read_text().strip() if path else None
        except (OSError, UnicodeDecodeError):
            # `load` tells of it, together with all else that is wrong.
            value = None
        return value, field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}


S = TypeVar("S", bound=BaseSettings)


def load(settings: type[S]) -> S:
    """Read settings from the environment; raise `SettingsInvalid` with all that is wrong."""
    unreadable = _unreadable_files(settings)
    try:
        loaded = settings()
    except ValidationError as error:
        lines = [*unreadable.values(), *_lines(error, besides=unreadable)]
        raise SettingsInvalid("\n".join(sorted(lines))) from None
    if unreadable:
        raise SettingsInvalid("\n".join(sorted(unreadable.values())))
    return loaded


def _unreadable_files(settings: type[BaseSettings]) -> dict[str, str]:
    """Tell of each setting whose file cannot be read, by the setting's name."""
    problems = {}
    for name in settings.model_fields:
        if path := os.environ.get(_file_variable(name)):
            try:
                Path(path).read_text()
            except OSError as error:
                problems[name] = f"{_file_variable(name)}: {error.strerror}"
            except UnicodeDecodeError:
                problems[name] = f"{_file_variable(name)}: is not text in UTF-8"
    return problems


def _file_variable(name: str) -> str:
    return f"{PREFIX}{name.upper()}_FILE"


def _lines(error: ValidationError, *, besides: Collection[str]) -> list[str]:
    # A value is never shown: it may be a key.
    return [
        f"{PREFIX}{str(problem['loc'][0]).upper()}: {_message(problem['type'], problem['msg'])}"
        if problem["loc"]
        else problem["msg"].removeprefix("Value error, ")
        for problem in error.errors(include_input=False, include_url=False)
        if not problem["loc"] or problem["loc"][0] not in besides
    ]


def _message(kind: str, message: str) -> str:
    return "is required" if kind == "missing" else message.removeprefix("Value error, ")
