"""Settings that both processes read, and how settings are read at all.

Every setting is an environment variable `PAIDUP_…`. Each problem is reported at
once, by the variable's name and never with its value.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

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

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})


def is_loopback(listen: str) -> bool:
    return listen.rpartition(":")[0] in LOOPBACK_HOSTS


class StateSettings(BaseSettings):
    """What every process of a deployment has to know."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    database_url: str = Field(
        default="sqlite+aiosqlite:///var/paidup.db",
        description="Where the shared state is: `sqlite+aiosqlite:///PATH` or "
        "`postgresql+asyncpg://USER:PASSWORD@HOST/DATABASE`.",
        pattern=r"^(sqlite\+aiosqlite|postgresql\+asyncpg)://",
    )
    log_format: Literal["json", "console"] = Field(
        default="json", description="How log lines are written: `json`, or `console` for people."
    )

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
        path = os.environ.get(f"{PREFIX}{field_name.upper()}_FILE")
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text().strip(), field_name, False
        except OSError as error:
            line = f"{PREFIX}{field_name.upper()}_FILE: {error.strerror}"
            raise SettingsInvalid(line) from error

    def __call__(self) -> dict[str, Any]:
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}


S = TypeVar("S", bound=BaseSettings)


def load(settings: type[S]) -> S:
    """Read settings from the environment; raise `SettingsInvalid` with all that is wrong."""
    try:
        return settings()
    except ValidationError as error:
        raise SettingsInvalid("\n".join(sorted(_lines(error)))) from None


def _lines(error: ValidationError) -> list[str]:
    # A value is never shown: it may be a key.
    return [
        f"{PREFIX}{str(problem['loc'][0]).upper()}: {_message(problem['type'], problem['msg'])}"
        if problem["loc"]
        else problem["msg"].removeprefix("Value error, ")
        for problem in error.errors(include_input=False, include_url=False)
    ]


def _message(kind: str, message: str) -> str:
    return "is required" if kind == "missing" else message.removeprefix("Value error, ")
