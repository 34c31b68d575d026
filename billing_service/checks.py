"""Answers entitlement checks from the shared state, never from Stripe."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from billing_service.errors import InvalidToken, RevisionNotReached
from subscription_state import accounts, head
from subscription_state.database import Database
from subscription_state.entitlements import Decision, Policy, Subject, decide
from subscription_state.errors import InvalidRevision
from subscription_state.revision import Revision

REVISION_POLL = 0.025
#: How long a check waits for a revision that this database has not reached.
LONGEST_WAIT = timedelta(seconds=2)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A decision and the state that it was made on."""

    decision: Decision
    revision: Revision


class Checks:
    """Decides what accounts may use."""

    def __init__(
        self,
        database: Database,
        policy: Policy,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._policy = policy
        self._now = now

    async def check(self, account_id: str, subject: Subject) -> Answer:
        """Decide as of the database's latest revision."""
        async with self._database.read() as connection:
            snapshot = await accounts.snapshot(connection, account_id)
        decision = decide(
            snapshot.account,
            subject,
            catalog=snapshot.catalog,
            policy=self._policy,
            now=self._now(),
        )
        return Answer(decision=decision, revision=snapshot.revision)

    async def wait_for(self, token: str, *, seconds: float) -> None:
        """Return once the database has reached the revision.

        Raise `InvalidToken` for one of another history, and
        `RevisionNotReached` when it takes longer than `seconds`.
        """
        wanted = _parse(token)
        try:
            async with asyncio.timeout(seconds):
                while await self._current(wanted) < wanted.number:
                    await asyncio.sleep(REVISION_POLL)
        except TimeoutError as error:
            raise RevisionNotReached from error

    async def _current(self, wanted: Revision) -> int:
        async with self._database.read() as connection:
            current = await head.current(connection)
        if current.epoch != wanted.epoch:
            raise InvalidToken("consistency.at_least_revision")
        return current.number


def _parse(token: str) -> Revision:
    try:
        return Revision.parse(token)
    except InvalidRevision as error:
        raise InvalidToken("consistency.at_least_revision") from error
