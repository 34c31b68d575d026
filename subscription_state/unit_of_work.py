"""What a transaction of events has read, and what it will write: each in a few statements.

Everything that a batch of events looks at is read once, under locks. The rules
change it in memory, one event after the other. Then all that changed is
written, each row once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import catalog, checkouts, customers, subscriptions, touches
from subscription_state.checkouts import CheckoutSession
from subscription_state.customers import Change, Customer
from subscription_state.errors import UnexpectedShape
from subscription_state.model import StoredSubscription, Subscription
from subscription_state.touches import Changed


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Ids of what an event is about, beside its customer; None where it names none."""

    subscription_id: str | None = None
    session_id: str | None = None
    account_id: str | None = None


@dataclass(kw_only=True, slots=True)
class UnitOfWork:
    """The shared state as far as a batch needs it."""

    #: Locked by this transaction.
    customers: dict[str, Customer]
    subscriptions: dict[str, StoredSubscription]
    sessions: dict[str, CheckoutSession]
    #: Customers by their accounts.
    _holders: dict[str, Customer]

    _saved_customers: set[str] = field(default_factory=set)
    _given_up: set[str] = field(default_factory=set)
    _saved_subscriptions: set[str] = field(default_factory=set)
    _saved_sessions: set[str] = field(default_factory=set)
    _changes: dict[str, Change] = field(default_factory=dict)
    _touched: list[Changed] = field(default_factory=list)
    _catalog_ticket: int | None = None

    def customer(self, customer_id: str) -> Customer:
        """Give a customer; raise `UnexpectedShape` for one that the event does not name as its."""
        try:
            return self.customers[customer_id]
        except KeyError:
            raise UnexpectedShape("The event is about another customer than it names.") from None

    def link(self, customer_id: str, account_id: str) -> bool:
        """Tie an unlinked customer to an account, as `customers.link` does."""
        linking = self.customer(customer_id)
        if linking.account_id is not None:
            return False
        holder = self._holders.get(account_id)
        if holder is not None and not holder.deleted:
            return False
        if holder is not None:
            self._give_up(holder)
        self._put(replace(linking, account_id=account_id))
        return True

    def _give_up(self, holder: Customer) -> None:
        self._given_up.add(holder.customer_id)
        if holder.customer_id in self.customers:
            self._put(replace(holder, account_id=None))

    def mark_deleted(self, customer_id: str) -> bool:
        """Note that Stripe has deleted the customer; True the first time."""
        before = self.customer(customer_id)
        self._put(replace(before, deleted=True))
        return not before.deleted

    def fence(self, customer_id: str, ticket: int) -> None:
        """Note that something of the customer is saved under this ticket."""
        self._put(replace(self.customer(customer_id), saved_ticket=ticket))

    def _put(self, after: Customer) -> None:
        self.customers[after.customer_id] = after
        self._saved_customers.add(after.customer_id)
        if after.account_id is not None:
            self._holders[after.account_id] = after

    def save(self, saved: Subscription, *, event_time: datetime | None) -> None:
        """Save the subscription, as an event of this time tells it."""
        before = self.subscriptions.get(saved.subscription_id)
        self._saved_subscriptions.add(saved.subscription_id)
        self.subscriptions[saved.subscription_id] = StoredSubscription(
            subscription=saved,
            event_time=event_time,
            as_of_start=before.as_of_start if before else None,
            as_of_end=before.as_of_end if before else None,
            verified_at=before.verified_at if before else None,
        )

    def publish(self, customer_id: str, ticket: int, now: datetime) -> None:
        """Tell whoever follows the customer's account that it changed."""
        account_id = self.customer(customer_id).account_id
        if account_id is not None:
            self._changes[account_id] = Change(
                account_id=account_id, revision=ticket, change_time=now
            )

    def note_session(self, noted: checkouts.Noted) -> bool:
        """Note where a Checkout Session stands; False where that says nothing new."""
        before = self.sessions.get(noted.session_id)
        if before is None or (after := checkouts.advanced(before, noted)) == before:
            return False
        self.sessions[noted.session_id] = after
        self._saved_sessions.add(noted.session_id)
        return True

    def want_catalog(self, ticket: int) -> None:
        """Note that the catalogue changed and has to be read again."""
        self._catalog_ticket = ticket

    def touch(self, changed: Changed) -> None:
        """Have the customer compared with Stripe."""
        self._touched.append(changed)

    async def write(self, connection: AsyncConnection) -> None:
        """Write all that changed."""
        if self._given_up:
            await customers.give_up(connection, sorted(self._given_up))
        if self._saved_customers:
            saved = [self.customers[key] for key in sorted(self._saved_customers)]
            await customers.save(connection, saved)
        await self._write_subscriptions(connection)
        if self._saved_sessions:
            sessions = [self.sessions[key] for key in sorted(self._saved_sessions)]
            await checkouts.update_all(connection, sessions)
        if self._catalog_ticket is not None:
            await catalog.want_read(connection, self._catalog_ticket)
        if self._changes:
            await customers.record_changes(connection, self._changes.values())
        await touches.touch_all(connection, self._touched)

    async def _write_subscriptions(self, connection: AsyncConnection) -> None:
        rows = [
            {
                **subscriptions.to_row(self.subscriptions[key].subscription),
                "event_time": self.subscriptions[key].event_time,
            }
            for key in sorted(self._saved_subscriptions)
        ]
        if rows:
            await subscriptions.save_all(connection, rows)


async def load(
    connection: AsyncConnection, locked: Mapping[str, Customer], wanted: Iterable[Wanted]
) -> UnitOfWork:
    """Read what is wanted; the customers must be locked, and nothing drawn from `head` yet."""
    wanted = list(wanted)
    sessions = {each.session_id for each in wanted if each.session_id}
    found = {each.subscription_id for each in wanted if each.subscription_id}
    return UnitOfWork(
        customers=dict(locked),
        sessions=await checkouts.lock(connection, sessions) if sessions else {},
        subscriptions=await subscriptions.of_ids(connection, found) if found else {},
        _holders=await _holders(connection, locked, wanted),
    )


async def _holders(
    connection: AsyncConnection, locked: Mapping[str, Customer], wanted: Iterable[Wanted]
) -> dict[str, Customer]:
    tied = {each.account_id: each for each in locked.values() if each.account_id is not None}
    others = {each.account_id for each in wanted if each.account_id} - tied.keys()
    if not others:
        return tied
    return tied | {
        each.account_id: each
        for each in await customers.holders(connection, others)
        if each.account_id is not None
    }
