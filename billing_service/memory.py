"""What is remembered of accounts, so that a check need not read the database.

Everything in here is as of one position of the feed: what a read brings is taken in
together with all the changes that came before it.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from subscription_state.catalog import Catalog
from subscription_state.changes import News, Position
from subscription_state.entitlements import Decision, Policy, Subject, decide
from subscription_state.model import AccountState
from subscription_state.revision import Revision

#: Decisions kept of one account. Callers choose what they ask about.
MOST_DECISIONS = 100


class Account:
    """One account's state, with what was decided on it."""

    __slots__ = ("_catalog", "_decisions", "state")

    def __init__(self, state: AccountState) -> None:
        self.state = state
        self._catalog: Catalog | None = None
        #: With when each was made.
        self._decisions: dict[Subject, tuple[datetime, Decision]] = {}

    def decide(
        self, subject: Subject, *, catalog: Catalog, policy: Policy, now: datetime
    ) -> Decision:
        """Decide anew only where the clock or the catalogue went on, or the clock was put back."""
        if catalog is not self._catalog:
            self._catalog, self._decisions = catalog, {}
        known = self._decisions.get(subject)
        if known is not None:
            made, decision = known
            if made <= now and (decision.valid_until is None or now < decision.valid_until):
                return decision
        decision = decide(self.state, subject, catalog=catalog, policy=policy, now=now)
        if len(self._decisions) >= MOST_DECISIONS:
            self._decisions.clear()
        self._decisions[subject] = now, decision
        return decision


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """Accounts and the catalogue as of one revision."""

    revision: Revision
    catalog: Catalog
    accounts: Mapping[str, Account]


class Memory:
    """The accounts that were asked about last, as of one position of the feed."""

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._accounts: OrderedDict[str, Account] = OrderedDict()
        self.catalog: Catalog = {}
        #: None until the first read.
        self.position: Position | None = None

    def __len__(self) -> int:
        return len(self._accounts)

    def missing(self, account_ids: Iterable[str]) -> list[str]:
        return [each for each in account_ids if each not in self._accounts]

    def view(self, account_ids: Iterable[str]) -> View | None:
        """Look the accounts up; None unless all of them are remembered."""
        if self.position is None:
            return None
        found = {}
        for account_id in account_ids:
            account = self.find(account_id)
            if account is None:
                return None
            found[account_id] = account
        return View(revision=self.position.revision, catalog=self.catalog, accounts=found)

    def find(self, account_id: str) -> Account | None:
        """Look one up; as long as nothing of it changes, it is the same object."""
        account = self._accounts.get(account_id)
        if account is not None:
            self._accounts.move_to_end(account_id)
        return account

    def take(self, news: News, states: Mapping[str, AccountState]) -> View:
        """Take a read in: forget what changed, remember what was asked for.

        The news must begin at this memory's position, and the states be as of theirs.
        """
        self._forget(news)
        self.position = news.position
        if news.catalog is not None:
            self.catalog = news.catalog
        asked = {account_id: Account(state) for account_id, state in states.items()}
        self._accounts.update(asked)
        while len(self._accounts) > self._most:
            self._accounts.popitem(last=False)
        return View(revision=news.position.revision, catalog=self.catalog, accounts=asked)

    def _forget(self, news: News) -> None:
        if news.missed:
            self._accounts.clear()
        for account_id in news.accounts:
            self._accounts.pop(account_id, None)
