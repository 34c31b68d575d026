"""Erase what tells of people: the bodies of events, and notes. All else holds ids and times."""

import json

from sqlalchemy import ColumnElement, and_, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import grants
from subscription_state.tables import customer, event


async def erase_account(connection: AsyncConnection, account_id: str) -> int:
    """Erase the bodies of an account's events; give how many lost theirs.

    Those of a customer that was never tied to the account, or is no longer, count
    where Stripe's metadata in one of them names it. Their ids stay, so a repeated
    delivery is still recognized.
    """
    its_own = select(customer.c.customer_id).where(customer.c.account_id == account_id)
    named = _names(connection, account_id)
    erased = await connection.execute(
        update(event)
        .where(event.c.body.is_not(None))
        .where(
            or_(
                event.c.customer_id.in_(its_own),
                event.c.customer_id.in_(await _untied_customers(connection, named)),
                and_(event.c.customer_id.is_(None), named),
            )
        )
        # Without its content there is nothing to try again.
        .values(body=None, next_attempt=None)
    )
    await grants.forget_notes(connection, account_id)
    return erased.rowcount


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
    spellings = {json.dumps(account_id), json.dumps(account_id, ensure_ascii=False)}
    return or_(*(_holds(connection, each.encode()) for each in sorted(spellings)))


def _holds(connection: AsyncConnection, part: bytes) -> ColumnElement[bool]:
    if connection.dialect.name == "postgresql":
        return func.position(literal(part).op("IN")(event.c.body)) > 0
    return func.instr(event.c.body, part) > 0
