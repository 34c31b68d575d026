"""Checkout Sessions that were made here, and the requests that made them."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state.tables import checkout_request, checkout_session
from subscription_state.upsert import insert_or_ignore

OPEN = "open"
PAID = "paid"


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
class Noted:
    """Where a session stands, as an event or a read of it tells."""

    session_id: str
    status: str
    payment_status: str
    subscription_id: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckoutRequest:
    """A caller's request that was made repeatable by its `request_id`."""

    request_id: str
    account_id: str
    fingerprint: str
    #: None until Stripe has answered.
    session_id: str | None
    reused: bool


_LOCK = (
    select(checkout_session)
    .where(checkout_session.c.session_id.in_(bindparam("ids", expanding=True)))
    .order_by(checkout_session.c.session_id)
    .with_for_update()
)
_UPDATE = (
    update(checkout_session)
    .where(checkout_session.c.session_id == bindparam("updated"))
    .values(
        fingerprint=bindparam("form"),
        status=bindparam("stands"),
        payment_status=bindparam("paid"),
        subscription_id=bindparam("made"),
    )
)


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


def advanced(before: CheckoutSession, noted: Noted) -> CheckoutSession:
    """Give what is known after Stripe said something, perhaps of long ago.

    A session that has ended never opens again nor ends otherwise, and one that was
    paid stays paid.
    """
    if before.status not in (OPEN, noted.status) or before.payment_status == PAID:
        return before
    return replace(
        before,
        status=noted.status,
        payment_status=noted.payment_status,
        subscription_id=noted.subscription_id or before.subscription_id,
    )


async def lock(
    connection: AsyncConnection, session_ids: Iterable[str]
) -> dict[str, CheckoutSession]:
    """Lock those that were made here, by id; after events, before anything is drawn."""
    found = await connection.execute(_LOCK, {"ids": sorted(session_ids)})
    return {row.session_id: _session(row) for row in found}


async def save(connection: AsyncConnection, session: CheckoutSession) -> None:
    """Save a session as Stripe gave it; what is known of a later state stays."""
    await connection.execute(
        insert_or_ignore(connection, checkout_session, dataclasses.asdict(session))
    )
    known = (await lock(connection, [session.session_id]))[session.session_id]
    noted = Noted(
        session_id=session.session_id,
        status=session.status,
        payment_status=session.payment_status,
        subscription_id=session.subscription_id,
    )
    # Who does not know its form has none.
    fingerprint = session.fingerprint or known.fingerprint
    await update_all(connection, [replace(advanced(known, noted), fingerprint=fingerprint)])


async def note_status(connection: AsyncConnection, noted: Noted) -> bool:
    """Note where a session stands; False where that says nothing new, or it was not made here."""
    known = (await lock(connection, [noted.session_id])).get(noted.session_id)
    if known is None or (after := advanced(known, noted)) == known:
        return False
    await update_all(connection, [after])
    return True


async def update_all(connection: AsyncConnection, sessions: Iterable[CheckoutSession]) -> None:
    """Write sessions that are locked by this transaction."""
    rows = [
        {
            "updated": each.session_id,
            "form": each.fingerprint,
            "stands": each.status,
            "paid": each.payment_status,
            "made": each.subscription_id,
        }
        for each in sessions
    ]
    await connection.execute(_UPDATE, rows)


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
