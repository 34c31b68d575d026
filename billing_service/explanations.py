"""Everything behind one decision, read in one snapshot."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from billing_service.explain import explain
from subscription_state import accounts, events, subscriptions
from subscription_state.database import Database
from subscription_state.entitlements import Decision, Policy, Subject, decide
from subscription_state.events import EventFilter, StoredEvent
from subscription_state.model import Grant, StoredSubscription

MOST_EVENTS = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """A decision, why in sentences, and what was looked at, newest first."""

    decision: Decision
    sentences: tuple[str, ...]
    subscriptions: tuple[StoredSubscription, ...]
    grants: tuple[Grant, ...]
    events: tuple[StoredEvent, ...]


class Explanations:
    """Explains what `Checks` decides."""

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

    async def explain(self, account_id: str, subject: Subject) -> Explanation:
        """Decide as of the database's latest revision, and say why."""
        async with self._database.read() as connection:
            snapshot = await accounts.snapshot(connection, account_id)
            stored = await subscriptions.of_account(connection, account_id)
            wanted = EventFilter(account_id=account_id, state=None)
            latest = await events.newest(connection, wanted, limit=MOST_EVENTS, after=None)
        decision = decide(
            snapshot.account,
            subject,
            catalog=snapshot.catalog,
            policy=self._policy,
            now=self._now(),
        )
        return Explanation(
            decision=decision,
            sentences=tuple(explain(snapshot.account, subject, decision, snapshot.catalog)),
            subscriptions=tuple(stored),
            grants=snapshot.account.grants,
            events=tuple(latest),
        )
