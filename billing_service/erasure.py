"""Erases what is held about an account's people."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_service import audit
from billing_service.audit import Method
from subscription_state import erasure
from subscription_state.database import Database
from subscription_state.erasure import Erased

log = logging.getLogger(__name__)


class Erasure:
    """Erases the content of accounts' events; ids and decisions stay."""

    def __init__(
        self, database: Database, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._now = now

    async def erase(self, account_id: str) -> int:
        """Give how many stored events lost their content; none when it is repeated."""
        erased = await self._database.write(lambda connection: self._erase(connection, account_id))
        gone = await self._database.forget_overwritten()
        facts = {
            "erased_events": erased.events,
            "unreadable_events": erased.unreadable,
            "log_truncated": gone,
        }
        level = logging.WARNING if erased.unreadable else logging.INFO
        log.log(level, "account_erased", extra=facts)
        return erased.events

    async def _erase(self, connection: AsyncConnection, account_id: str) -> Erased:
        keyring = self._database.keyring
        erased = await erasure.erase_account(connection, account_id, keyring)
        # Also where nothing was left to erase: that somebody wanted it is worth knowing.
        count = str(erased.events)
        await audit.note(
            connection, Method.ERASE_ACCOUNT, account_id, now=self._now(), erased_events=count
        )
        return erased
