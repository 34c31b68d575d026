"""Features given by hand: granted, revoked, listed page by page."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_service import account_scope, audit, page_tokens
from billing_service.audit import Method
from billing_service.errors import GrantNotFound, RequestIdReused
from subscription_state import grants, head
from subscription_state.database import Database
from subscription_state.model import Grant
from subscription_state.revision import Revision

PREFIX = "grant_"


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What somebody asks to be granted."""

    account_id: str
    feature: str
    expire_time: datetime | None
    note: str
    #: A UUID; empty where the call need not be safe to repeat.
    request_id: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Granted:
    """A grant and a state that holds it as it is."""

    grant: Grant
    revision: Revision


@dataclass(frozen=True, kw_only=True, slots=True)
class GrantPage:
    """Some grants, newest first, and where the next ones are."""

    grants: tuple[Grant, ...]
    #: Empty on the last page.
    next_page_token: str


class Grants:
    """What operators give to accounts, whatever those pay for."""

    def __init__(
        self,
        database: Database,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        changed: Callable[[], None] = lambda: None,
        may_act_for: Callable[[str], bool] = account_scope.may_act_for,
    ) -> None:
        """Build it; `changed` is called after each commit that changed an account."""
        self._database = database
        self._now = now
        self._changed = changed
        self._may_act_for = may_act_for

    async def create(self, wish: Wish, *, creator: str) -> Granted:
        """Grant it; a repetition under its request id gives the same grant.

        Raise `RequestIdReused` where that id was used to wish for something else.
        """
        wanted = self._grant(wish, creator)

        async def work(connection: AsyncConnection) -> Granted:
            created = await grants.create(connection, wanted)
            # A repetition finds the grant that was made before, and changes nothing.
            if created is wanted:
                await _note(connection, Method.CREATE_GRANT, wanted, now=wanted.create_time)
            return Granted(grant=created, revision=await head.current(connection))

        granted = await self._database.write(work)
        self._changed()
        if _wish(granted.grant) != _wish(wanted):
            raise RequestIdReused(wish.request_id)
        return granted

    def _grant(self, wish: Wish, creator: str) -> Grant:
        # The request's id is the grant's, so that a repetition finds what it has made.
        made_of = uuid.UUID(wish.request_id) if wish.request_id else uuid.uuid4()
        return Grant(
            grant_id=f"{PREFIX}{made_of.hex}",
            account_id=wish.account_id,
            feature=wish.feature,
            expire_time=wish.expire_time,
            note=wish.note,
            creator=creator,
            create_time=self._now(),
            revoke_time=None,
        )

    async def revoke(self, grant_id: str) -> Granted:
        """End a grant now; one that has ended is given as it is. Raise `GrantNotFound`."""

        async def work(connection: AsyncConnection) -> Granted:
            now = self._now()
            revoked = await grants.revoke(connection, grant_id, now)
            # For a caller, another's account's grant does not exist; raising takes it back.
            if revoked is None or not self._may_act_for(revoked.account_id):
                raise GrantNotFound(grant_id)
            # One that had ended before is left as it was.
            if revoked.revoke_time == now:
                await _note(connection, Method.REVOKE_GRANT, revoked, now=now)
            return Granted(grant=revoked, revision=await head.current(connection))

        revoked = await self._database.write(work)
        self._changed()
        return revoked

    async def list_page(self, account_id: str, *, size: int, token: str) -> GrantPage:
        """Give one page; raise `InvalidToken` for a token of another list."""
        async with self._database.read() as connection:
            found = list(await grants.of_account(connection, account_id))
        of = ("grants", account_id)
        if token:
            after = page_tokens.decode(token, of=of)
            found = [each for each in found if _key(each) < after]
        page, more = found[:size], found[size:]
        return GrantPage(
            grants=tuple(page),
            next_page_token=page_tokens.encode(_key(page[-1]), of=of) if more else "",
        )


async def _note(connection: AsyncConnection, method: Method, grant: Grant, now: datetime) -> None:
    await audit.note(connection, method, grant.account_id, now=now, grant_id=grant.grant_id)


def _wish(grant: Grant) -> tuple[object, ...]:
    """Leave out what differs between a wish and its repetition."""
    return (grant.account_id, grant.feature, grant.expire_time, grant.note, grant.creator)


def _key(grant: Grant) -> list[str]:
    return [grant.create_time.isoformat(), grant.grant_id]
