"""INSERT … ON CONFLICT, which both databases have and SQLAlchemy spells per dialect."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

Insert = postgresql.Insert | sqlite.Insert


def insert_or_ignore(connection: AsyncConnection, table: Table, row: Mapping[str, Any]) -> Insert:
    """Insert the row unless its key is there."""
    return _insert(connection, table, row).on_conflict_do_nothing()


def upsert(
    connection: AsyncConnection,
    table: Table,
    row: Mapping[str, Any],
    *,
    update: Mapping[str, Any] | None = None,
    where: ColumnElement[bool] | None = None,
) -> Insert:
    """Insert the row; where its key is there, set `update` (default: the row's own values).

    `where` says when an existing row may be changed.
    """
    keys = [column.name for column in table.primary_key]
    values = update or {name: value for name, value in row.items() if name not in keys}
    return _insert(connection, table, row).on_conflict_do_update(
        index_elements=keys, set_=dict(values), where=where
    )


def _insert(connection: AsyncConnection, table: Table, row: Mapping[str, Any]) -> Insert:
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table).values(**row)
    return sqlite.insert(table).values(**row)
