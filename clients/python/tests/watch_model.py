"""A service in miniature, which remembers what was true when: what memory is judged by."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from clients.python.tests.watched_service import START, Clocks, entitlement, message, of_account
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1.entitlement_pb2 import Entitlement

ACCOUNTS = ("acme", "globex")
FEATURES = ("api_access", "reports")

#: For how long a replica may be behind, in seconds.
LAG = 2.0

#: What an account may use, each with the moment at which it ends.
Rights = dict[str, float | None]


@dataclass
class Change:
    number: int
    at: float
    account_id: str
    rights: Rights


@dataclass
class ModelService:
    """Every change has a number; `r` and that number is its revision."""

    clocks: Clocks
    changes: list[Change] = field(default_factory=list)
    #: Changes up to here can no longer be told.
    gone: int = 0
    #: What is on its way over the stream; None while there is no stream.
    on_its_way: deque[pb.WatchEntitlementsResponse] | None = None
    watched: tuple[str, ...] = ()

    @property
    def number(self) -> int:
        return self.changes[-1].number if self.changes else 0

    def change(self, account_id: str, rights: Rights) -> None:
        made = Change(self.number + 1, self.clocks.passed, account_id, rights)
        self.changes.append(made)
        if account_id in self.watched:
            self._send_account(account_id, made.number)

    def open(self, request: pb.WatchEntitlementsRequest) -> None:
        self.on_its_way = deque()
        self.watched = tuple(request.account_ids) or ACCOUNTS
        resumed = int(request.resume_revision.removeprefix("r") or -1)
        if resumed < 0:
            self._send_all(request, -1)
        elif not self.gone <= resumed <= self.number:
            self._send("", reset=pb.WatchEntitlementsResponse.Reset())
            self._send_all(request, -1)
        else:
            missed = {each.account_id for each in self.changes if each.number > resumed}
            for account_id in sorted(missed.intersection(self.watched)):
                self._send_account(account_id, resumed)
        self.heartbeat()

    def heartbeat(self) -> None:
        self._send(f"r{self.number}")

    def cut(self) -> None:
        self.on_its_way = None
        self.watched = ()

    def rights(self, account_id: str, *, number: int) -> Rights:
        """Return what an account had after a change."""
        of_account = [
            each.rights
            for each in self.changes
            if each.account_id == account_id and each.number <= number
        ]
        return of_account[-1] if of_account else {}

    def answer(self, account_id: str, *, at_least: str, lagging: bool) -> list[Entitlement]:
        """Answer as a replica that is as far behind as it may be, or as one that is not."""
        known = [c.number for c in self.changes if c.at <= self.clocks.passed - LAG]
        oldest = max([int(at_least.removeprefix("r") or 0), *known])
        return self._entitlements(account_id, oldest if lagging else self.number)

    def was_true(self, account_id: str, feature: str, *, within: float) -> set[bool]:
        """Return whether it was entitled at any moment of the last seconds."""
        now = self.clocks.passed
        since = now - within
        ends = [end for each in self.changes for end in each.rights.values() if end is not None]
        moments = [(at, self._number_at(at)) for at in (since, now, *ends)]
        # Several changes may have been made at one moment; each was true then.
        moments += [(each.at, each.number) for each in self.changes]
        return {
            self._was_true_at(account_id, feature, at, number)
            for at, number in moments
            if since <= at <= now
        }

    def is_true(self, account_id: str, feature: str) -> bool:
        return self._was_true_at(account_id, feature, self.clocks.passed, self.number)

    def _number_at(self, moment: float) -> int:
        return max([each.number for each in self.changes if each.at <= moment], default=0)

    def _was_true_at(self, account_id: str, feature: str, moment: float, number: int) -> bool:
        rights = self.rights(account_id, number=number)
        end = rights.get(feature)
        return feature in rights and (end is None or moment < end)

    def _entitlements(self, account_id: str, number: int) -> list[Entitlement]:
        return list(_still(self.rights(account_id, number=number), self.clocks.passed, account_id))

    def _send_all(self, request: pb.WatchEntitlementsRequest, number: int) -> None:
        for account_id in request.account_ids:
            self._send_account(account_id, number)

    def _send_account(self, account_id: str, number: int) -> None:
        told = of_account(account_id, self._entitlements(account_id, self.number))
        self._send(f"r{number}" if number >= 0 else "", account=told)

    def _send(self, revision: str, **kind: object) -> None:
        if self.on_its_way is not None:
            self.on_its_way.append(message(START + self.clocks.passed, revision, **kind))


def _still(rights: Rights, now: float, account_id: str) -> Iterator[Entitlement]:
    for feature, end in rights.items():
        if end is None or now < end:
            yield entitlement(account_id, feature=feature, until=end)
