"""Who changed what, as rows. They are only ever added: nothing here changes one."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state.tables import audit_entry

#: So few are dropped at a time that others who write need not wait.
BATCH = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditEntry:
    """One change that a caller made."""

    entry_id: str
    create_time: datetime
    #: Whoever called, as the policy file names them.
    caller: str
    #: The contract's method, such as `CreateGrant`.
    method: str
    #: Empty where no account is known.
    account_id: str
    request_id: str
    #: Ids and counts of what was changed, by name; nothing about people.
    facts: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditFilter:
    """Which entries are wanted; what is not said is not asked."""

    account_id: str = ""
    caller: str = ""
    method: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditPlace:
    """Where in the list an entry stands: ids part those of the same time."""

    create_time: datetime
    entry_id: str


async def add(connection: AsyncConnection, entry: AuditEntry) -> None:
    row = {**asdict(entry), "facts": dict(entry.facts)}
    await connection.execute(insert(audit_entry).values(**row))


async def newest(
    connection: AsyncConnection,
    wanted: AuditFilter,
    *,
    limit: int,
    after: AuditPlace | None = None,
) -> list[AuditEntry]:
    """List entries, newest first; `after` is the last one of the page before."""
    columns = audit_entry.c
    listing = (
        select(audit_entry)
        .where(*(columns[name] == value for name, value in asdict(wanted).items() if value))
        .order_by(columns.create_time.desc(), columns.entry_id.desc())
        .limit(limit)
    )
    if after is not None:
        listing = listing.where(_is_older(after))
    return [_from_row(row) for row in await connection.execute(listing)]


def _is_older(than: AuditPlace) -> ColumnElement[bool]:
    return and_(
        # Said for the index, which cannot tell it from what follows.
        audit_entry.c.create_time <= than.create_time,
        or_(audit_entry.c.create_time < than.create_time, audit_entry.c.entry_id < than.entry_id),
    )


async def drop(connection: AsyncConnection, *, before: datetime) -> int:
    """Delete the oldest entries from before a time; give how many, at most `BATCH`."""
    old = (
        select(audit_entry.c.entry_id)
        .where(audit_entry.c.create_time < before)
        .order_by(audit_entry.c.create_time)
        .limit(BATCH)
    )
    dropping = delete(audit_entry).where(audit_entry.c.entry_id.in_(old))
    return (await connection.execute(dropping)).rowcount


def _from_row(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        entry_id=row.entry_id,
        create_time=row.create_time,
        caller=row.caller,
        method=row.method,
        account_id=row.account_id,
        request_id=row.request_id,
        facts=row.facts,
    )
