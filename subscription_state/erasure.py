"""Erase what tells of people: the bodies of events, and notes. All else holds ids and times."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import grants
from subscription_state.encryption import SEALED, Keyring
from subscription_state.errors import BodyUnreadable
from subscription_state.tables import customer, event

#: So many encrypted bodies are held in memory at a time.
BATCH = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Erased:
    """What became of an account's events."""

    #: How many lost their bodies.
    events: int
    #: How many bodies of nobody's could not be opened, and so kept to themselves whose they are.
    unreadable: int


async def erase_account(connection: AsyncConnection, account_id: str, keyring: Keyring) -> Erased:
    """Erase the bodies of an account's events; tell how many lost theirs.

    Those of a customer that was never tied to the account, or is no longer, count
    where Stripe's metadata in one of them names it. Their ids stay, so a repeated
    delivery is still recognized.
    """
    its_own = select(customer.c.customer_id).where(customer.c.account_id == account_id)
    named = _names(connection, account_id)
    sealed = await _sealed_that_name(connection, account_id, keyring)
    erased = await connection.execute(
        update(event)
        .where(event.c.body.is_not(None))
        .where(
            or_(
                event.c.customer_id.in_(its_own),
                event.c.customer_id.in_(await _untied_customers(connection, named)),
                and_(event.c.customer_id.is_(None), named),
                event.c.customer_id.in_(sealed.customer_ids),
                event.c.event_id.in_(sealed.event_ids),
            )
        )
        # Without its content there is nothing to try again.
        .values(body=None, next_attempt=None)
    )
    await grants.forget_notes(connection, account_id)
    return Erased(events=erased.rowcount, unreadable=sealed.unreadable)


async def _untied_customers(connection: AsyncConnection, named: ColumnElement[bool]) -> list[str]:
    found = await connection.execute(
        select(event.c.customer_id)
        .join(customer, customer.c.customer_id == event.c.customer_id)
        .where(customer.c.account_id.is_(None), event.c.body.is_not(None), named)
        .distinct()
    )
    return list(found.scalars())


def _names(connection: AsyncConnection, account_id: str) -> ColumnElement[bool]:
    """Tell whether a body holds the account's id as a whole text, in either spelling of JSON."""
    return or_(*(_holds(connection, each) for each in _spellings(account_id)))


def _spellings(account_id: str) -> list[bytes]:
    spellings = {json.dumps(account_id), json.dumps(account_id, ensure_ascii=False)}
    return [each.encode() for each in sorted(spellings)]


def _holds(connection: AsyncConnection, part: bytes) -> ColumnElement[bool]:
    if connection.dialect.name == "postgresql":
        return func.position(literal(part).op("IN")(event.c.body)) > 0
    return func.instr(event.c.body, part) > 0


@dataclass(kw_only=True, slots=True)
class _Sealed:
    """Encrypted bodies that name an account: no statement can look into them."""

    #: Of customers that belong to nobody.
    customer_ids: set[str] = field(default_factory=set)
    #: Of events that concern no customer.
    event_ids: set[str] = field(default_factory=set)
    unreadable: int = 0

    def add(self, row: Row[Any, Any, Any]) -> None:
        if row.customer_id is None:
            self.event_ids.add(row.event_id)
        else:
            self.customer_ids.add(row.customer_id)


async def _sealed_that_name(
    connection: AsyncConnection, account_id: str, keyring: Keyring
) -> _Sealed:
    """Open every encrypted body of nobody's, and look for the account's id in it."""
    found, spellings = _Sealed(), _spellings(account_id)
    async for row in _sealed_of_nobody(connection):
        try:
            body = keyring.open(row.event_id, row.body)
        except BodyUnreadable:
            found.unreadable += 1
            continue
        if any(each in body for each in spellings):
            found.add(row)
    return found


async def _sealed_of_nobody(connection: AsyncConnection) -> AsyncIterator[Row[Any, Any, Any]]:
    listing = (
        select(event.c.event_id, event.c.customer_id, event.c.body)
        .outerjoin(customer, customer.c.customer_id == event.c.customer_id)
        .where(customer.c.account_id.is_(None))
        .where(func.substr(event.c.body, 1, len(SEALED)) == SEALED)
        .order_by(event.c.event_id)
        .limit(BATCH)
    )
    after = ""
    while rows := (await connection.execute(listing.where(event.c.event_id > after))).all():
        for row in rows:
            yield row
        after = rows[-1].event_id
