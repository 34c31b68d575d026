"""INSERT … ON CONFLICT, which both databases have and SQLAlchemy spells per dialect.

A statement is built once and executed with one row or with many: SQLAlchemy
then compiles it once, and the driver sends all rows in one go.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

Insert = postgresql.Insert | sqlite.Insert


def insert_or_ignore(connection: AsyncConnection, table: Table, row: Mapping[str, Any]) -> Insert:
    """Insert the row unless its key is there."""
    return inserting(connection.dialect.name, table).values(**row).on_conflict_do_nothing()


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
    keys = _keys(table)
    values = update or {name: value for name, value in row.items() if name not in keys}
    return (
        inserting(connection.dialect.name, table)
        .values(**row)
        .on_conflict_do_update(index_elements=keys, set_=dict(values), where=where)
    )


@cache
def ignoring(dialect: str, table: Table) -> Insert:
    """Give the statement that inserts rows unless their keys are there."""
    return inserting(dialect, table).on_conflict_do_nothing()


@cache
def replacing(dialect: str, table: Table, *names: str) -> Insert:
    """Give the statement that inserts rows; where a key is there, it sets the named columns."""
    insert = inserting(dialect, table)
    values = {name: insert.excluded[name] for name in names}
    return insert.on_conflict_do_update(index_elements=_keys(table), set_=values)


def inserting(dialect: str, table: Table) -> Insert:
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def _keys(table: Table) -> list[str]:
    return [column.name for column in table.primary_key]
