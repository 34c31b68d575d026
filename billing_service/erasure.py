"""Erases what is held about an account's people."""

import logging

from subscription_state import erasure
from subscription_state.database import Database

log = logging.getLogger(__name__)


class Erasure:
    """Erases the content of accounts' events; ids and decisions stay."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def erase(self, account_id: str) -> int:
        """Give how many stored events lost their content; none when it is repeated."""
        keyring = self._database.keyring
        erased = await self._database.write(
            lambda connection: erasure.erase_account(connection, account_id, keyring)
        )
        gone = await self._database.forget_overwritten()
        facts = {
            "erased_events": erased.events,
            "unreadable_events": erased.unreadable,
            "log_truncated": gone,
        }
        level = logging.WARNING if erased.unreadable else logging.INFO
        log.log(level, "account_erased", extra=facts)
        return erased.events
