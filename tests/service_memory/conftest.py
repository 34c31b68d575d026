"""The databases of the shared state's tests, for what is kept in memory of them."""

from tests.state.conftest import (
    database,
    database_url,
    postgresql_name,
    postgresql_url,
    sqlite_template,
    sqlite_url,
)

__all__ = [
    "database",
    "database_url",
    "postgresql_name",
    "postgresql_url",
    "sqlite_template",
    "sqlite_url",
]
