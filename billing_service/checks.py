"""Answers what accounts may use: from memory where that is fresh, else from the database."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from billing_service import metrics
from billing_service.errors import InvalidToken, RevisionNotReached
from billing_service.feed import Feed
from billing_service.memory import Memory, View
from subscription_state.entitlements import Decision, Policy, Subject, subjects_of
from subscription_state.errors import InvalidRevision
from subscription_state.revision import Revision

REVISION_POLL = 0.025
#: How long a check waits for a revision that this database has not reached.
LONGEST_WAIT = timedelta(seconds=2)

_FROM_MEMORY = metrics.LOOKUPS.labels("memory")
_FROM_DATABASE = metrics.LOOKUPS.labels("database")


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """How fresh an answer must be; by default, as fresh as the memory."""

    #: A revision as an earlier answer gave it.
    at_least: str | None = None
    #: How long that may be waited for, in seconds.
    seconds: float = LONGEST_WAIT.total_seconds()
    fully_consistent: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """Decisions and the one state that all of them were made on."""

    decisions: Sequence[Decision]
    revision: Revision


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What one account may use."""

    entitled: Sequence[tuple[Subject, Decision]]
    revision: Revision


ANY = Wanted()


class Checks:
    """Decides what accounts may use.

    Every method raises `StateUnavailable` where it must read and cannot, and
    `InvalidToken` or `RevisionNotReached` for a revision that cannot be had.
    """

    def __init__(
        self,
        feed: Feed,
        memory: Memory,
        policy: Policy,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._feed = feed
        self._memory = memory
        self._policy = policy
        self._now = now

    async def check(self, pairs: Sequence[tuple[str, Subject]], wanted: Wanted = ANY) -> Answer:
        """Decide on each pair of an account and a subject, all as of one revision."""
        view = await self._view({account_id for account_id, _ in pairs}, wanted)
        now = self._now()
        return Answer(
            decisions=[self._decide(view, *pair, now) for pair in pairs], revision=view.revision
        )

    async def list_entitled(self, account_id: str, wanted: Wanted = ANY) -> Listing:
        """Decide on everything that the account may be entitled to, and give what it is."""
        view = await self._view({account_id}, wanted)
        return Listing(entitled=self.entitled(view, account_id), revision=view.revision)

    def entitled(self, view: View, account_id: str) -> Sequence[tuple[Subject, Decision]]:
        now = self._now()
        subjects = subjects_of(view.accounts[account_id].state, view.catalog)
        decided = [(each, self._decide(view, account_id, each, now)) for each in subjects]
        return [each for each in decided if each[1].entitled]

    def _decide(self, view: View, account_id: str, subject: Subject, now: datetime) -> Decision:
        return view.accounts[account_id].decide(
            subject, catalog=view.catalog, policy=self._policy, now=now
        )

    async def _view(self, account_ids: Collection[str], wanted: Wanted) -> View:
        at_least = None if wanted.at_least is None else _parse(wanted.at_least)
        if not wanted.fully_consistent:
            remembered = await self._remembered(account_ids)
            if remembered is not None and _reaches(remembered, at_least):
                _FROM_MEMORY.inc()
                return remembered
        _FROM_DATABASE.inc()
        if at_least is None and not wanted.fully_consistent:
            return await self._fill(account_ids)
        return await self._wait_for(account_ids, at_least, wanted.seconds)

    async def _remembered(self, account_ids: Collection[str]) -> View | None:
        if not self._feed.is_fresh():
            # One look at the feed, shared by all who come now, is less than reading each account.
            await self._feed.read()
        return self._memory.view(account_ids)

    async def _fill(self, account_ids: Collection[str]) -> View:
        """Read what is not remembered, and what is as of another revision than that."""
        missing = self._memory.missing(account_ids)
        view = await self._feed.read(missing)
        if len(missing) == len(account_ids):
            return view
        whole = self._memory.view(account_ids)
        return whole or await self._feed.read(account_ids)

    async def _wait_for(
        self, account_ids: Collection[str], at_least: Revision | None, seconds: float
    ) -> View:
        """Read the database until it has reached the revision."""
        try:
            async with asyncio.timeout(seconds if at_least else None):
                view = await self._feed.read(account_ids)
                while not _reaches(view, at_least):
                    await asyncio.sleep(REVISION_POLL)
                    view = await self._feed.read(account_ids)
        except TimeoutError as error:
            raise RevisionNotReached from error
        return view


def _reaches(view: View, at_least: Revision | None) -> bool:
    if at_least is None:
        return True
    if view.revision.epoch != at_least.epoch:
        raise InvalidToken("consistency.at_least_revision")
    return view.revision.number >= at_least.number


def _parse(token: str) -> Revision:
    try:
        return Revision.parse(token)
    except InvalidRevision as error:
        raise InvalidToken("consistency.at_least_revision") from error
