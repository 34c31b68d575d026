"""Who changed what by a call: noted beside the change, listed page by page, dropped when old."""

import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_service import current_call, metrics, page_tokens
from subscription_state import audit
from subscription_state.audit import AuditEntry, AuditFilter, AuditPlace
from subscription_state.database import Database

PREFIX = "audit_"
RETENTION_EVERY = timedelta(minutes=5)

_LONG_AGO = datetime.fromtimestamp(0, UTC)


class Method(StrEnum):
    """The contract's methods that change something, here or at Stripe."""

    CREATE_CHECKOUT_SESSION = "CreateCheckoutSession"
    CREATE_PORTAL_SESSION = "CreatePortalSession"
    CREATE_GRANT = "CreateGrant"
    REVOKE_GRANT = "RevokeGrant"
    REPLAY_EVENT = "ReplayEvent"
    REFRESH_ACCOUNT = "RefreshAccount"
    LINK_CUSTOMER = "LinkCustomer"
    ERASE_ACCOUNT = "EraseAccount"


async def note(
    connection: AsyncConnection, method: Method, account_id: str, *, now: datetime, **facts: str
) -> None:
    """Note a change of the current call's, in the transaction that makes it.

    One that was made at Stripe is noted as soon as Stripe has answered. `facts` are ids and
    counts of what was changed: nothing about people, for nobody erases them.
    """
    entry = AuditEntry(
        entry_id=f"{PREFIX}{uuid.uuid4().hex}",
        create_time=now,
        caller=current_call.caller(),
        method=method.value,
        account_id=account_id,
        request_id=current_call.request_id(),
        facts=facts,
    )
    await audit.add(connection, entry)


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditPage:
    """Some entries, newest first, and where the next ones are."""

    entries: tuple[AuditEntry, ...]
    #: Empty on the last page.
    next_page_token: str


class AuditLog:
    """What callers changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_page(self, wanted: AuditFilter, *, size: int, token: str) -> AuditPage:
        """Give one page; raise `InvalidToken` for a token of another list."""
        of = ("audit", *asdict(wanted).values())
        after = _place(page_tokens.decode(token, of=of)) if token else None
        async with self._database.read() as connection:
            # One more than asked for tells whether there is another page.
            found = await audit.newest(connection, wanted, limit=size + 1, after=after)
        page, more = found[:size], found[size:]
        return AuditPage(
            entries=tuple(page),
            next_page_token=page_tokens.encode(_key(page[-1]), of=of) if more else "",
        )


def _key(entry: AuditEntry) -> list[str]:
    return [entry.create_time.isoformat(), entry.entry_id]


def _place(key: list[str]) -> AuditPlace:
    """Read a token's place. Anybody can make a token up, so nothing in it is relied on."""
    moment, entry_id = page_tokens.moment_and_id(key)
    return AuditPlace(create_time=moment, entry_id=entry_id)


class AuditRetention:
    """Deletes entries that are older than somebody wants to keep them."""

    def __init__(
        self,
        database: Database,
        *,
        kept: timedelta,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._kept = kept
        self._now = now
        self._due_at = _LONG_AGO

    async def run_if_due(self) -> None:
        now = self._now()
        if now < self._due_at:
            return
        self._due_at = now + RETENTION_EVERY
        dropped = audit.BATCH
        while dropped == audit.BATCH:
            dropped = await self._database.write(
                lambda connection: audit.drop(connection, before=now - self._kept)
            )
            metrics.RETENTION_DROPPED.labels("audit").inc(dropped)
