"""Checkout Sessions that were made here, and the requests that made them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state.tables import checkout_request, checkout_session
from subscription_state.upsert import insert_or_ignore, upsert

OPEN = "open"


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckoutSession:
    """A Checkout Session; its client secret is never stored."""

    session_id: str
    account_id: str
    #: Of all that shapes the form: the same fingerprint, the same form.
    fingerprint: str
    #: In Stripe's words: open, complete or expired.
    status: str
    payment_status: str
    subscription_id: str | None
    expire_time: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckoutRequest:
    """A caller's request that was made repeatable by its `request_id`."""

    request_id: str
    account_id: str
    fingerprint: str
    #: None until Stripe has answered.
    session_id: str | None
    reused: bool


async def get(connection: AsyncConnection, session_id: str) -> CheckoutSession | None:
    found = await connection.execute(
        select(checkout_session).where(checkout_session.c.session_id == session_id)
    )
    row = found.first()
    return None if row is None else _session(row)


async def open_of(
    connection: AsyncConnection, account_id: str, *, now: datetime
) -> Sequence[CheckoutSession]:
    """List the account's sessions that could still be paid."""
    found = await connection.execute(
        select(checkout_session).where(
            checkout_session.c.account_id == account_id,
            checkout_session.c.status == OPEN,
            checkout_session.c.expire_time > now,
        )
    )
    return [_session(row) for row in found]


async def save(connection: AsyncConnection, session: CheckoutSession) -> None:
    row = {
        "session_id": session.session_id,
        "account_id": session.account_id,
        "fingerprint": session.fingerprint,
        "status": session.status,
        "payment_status": session.payment_status,
        "subscription_id": session.subscription_id,
        "expire_time": session.expire_time,
    }
    await connection.execute(upsert(connection, checkout_session, row))


async def note_status(
    connection: AsyncConnection,
    *,
    session_id: str,
    status: str,
    payment_status: str,
    subscription_id: str | None,
) -> bool:
    """Note where a session stands; False for one that was not made here.

    A session that has ended never opens again, and one that was paid stays paid.
    """
    known = await connection.execute(
        update(checkout_session)
        .where(checkout_session.c.session_id == session_id)
        .where((checkout_session.c.status == OPEN) | (checkout_session.c.status == status))
        .where(checkout_session.c.payment_status != "paid")
        .values(status=status, payment_status=payment_status, subscription_id=subscription_id)
    )
    return known.rowcount == 1


async def request(connection: AsyncConnection, request_id: str) -> CheckoutRequest | None:
    found = await connection.execute(
        select(checkout_request).where(checkout_request.c.request_id == request_id)
    )
    row = found.first()
    return None if row is None else _request(row)


async def begin_request(
    connection: AsyncConnection,
    request_id: str,
    *,
    account_id: str,
    fingerprint: str,
    now: datetime,
) -> CheckoutRequest:
    """Remember a request, or give the one that used the id before."""
    row = {
        "request_id": request_id,
        "account_id": account_id,
        "fingerprint": fingerprint,
        "reused": False,
        "create_time": now,
    }
    await connection.execute(insert_or_ignore(connection, checkout_request, row))
    found = await connection.execute(
        select(checkout_request).where(checkout_request.c.request_id == request_id)
    )
    return _request(found.one())


async def drop_request(connection: AsyncConnection, request_id: str) -> None:
    """Forget a request that Stripe refused: put right, it may come again under its id."""
    await connection.execute(
        delete(checkout_request).where(
            checkout_request.c.request_id == request_id, checkout_request.c.session_id.is_(None)
        )
    )


async def finish_request(
    connection: AsyncConnection, request_id: str, *, session_id: str, reused: bool
) -> None:
    await connection.execute(
        update(checkout_request)
        .where(checkout_request.c.request_id == request_id)
        .values(session_id=session_id, reused=reused)
    )


def _session(row: Row[Any]) -> CheckoutSession:
    return CheckoutSession(
        session_id=row.session_id,
        account_id=row.account_id,
        fingerprint=row.fingerprint,
        status=row.status,
        payment_status=row.payment_status,
        subscription_id=row.subscription_id,
        expire_time=row.expire_time,
    )


def _request(row: Row[Any]) -> CheckoutRequest:
    return CheckoutRequest(
        request_id=row.request_id,
        account_id=row.account_id,
        fingerprint=row.fingerprint,
        session_id=row.session_id,
        reused=row.reused,
    )
