"""Take webhook events in: store each and apply its content, in one transaction."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from subscription_state import (
    apply,
    catalog,
    customers,
    deployment,
    events,
    head,
    touches,
    unit_of_work,
)
from subscription_state.customers import Customer
from subscription_state.database import Database
from subscription_state.encryption import Keyring
from subscription_state.errors import StateUnavailable, UnexpectedShape
from subscription_state.events import Before, EventState, ReceivedEvent
from subscription_state.from_stripe import id_of, moment, required_id, text_of
from subscription_state.touches import Changed
from subscription_state.unit_of_work import UnitOfWork

#: The longest id of Stripe's that is taken for one.
MAX_ID = 255


class Outcome(StrEnum):
    """What became of one delivery. All of them are answered with success."""

    APPLIED = "applied"
    SKIPPED = "skipped"
    FAILED = "failed"
    #: Taken in before.
    DUPLICATE = "duplicate"
    #: Of a type that tells us nothing.
    IGNORED = "ignored"
    #: Of another Stripe account or mode; not stored.
    FOREIGN = "foreign"


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """A signed webhook body, read far enough to be stored."""

    event: ReceivedEvent
    #: The whole event.
    content: Mapping[str, Any]
    livemode: bool
    #: The connected account that it is about; None for our own.
    stripe_account_id: str | None
    #: The span that takes it in, where that is seen.
    traceparent: str | None = None


def delivery_from_stripe(
    content: Mapping[str, Any], body: bytes, *, received: datetime
) -> Delivery:
    """Read an Event object; raise `UnexpectedShape` where it is none."""
    data = content.get("data")
    held = data.get("object") if isinstance(data, Mapping) else None
    livemode = content.get("livemode")
    if content.get("object") != "event" or not isinstance(held, Mapping):
        raise UnexpectedShape("This is not an event of Stripe's.")
    if not isinstance(livemode, bool):
        raise UnexpectedShape("The event does not tell its mode.")
    return Delivery(
        event=ReceivedEvent(
            event_id=_id(content.get("id")),
            type=_id(content.get("type")),
            customer_id=_customer_of(held),
            create_time=moment(content.get("created")),
            receive_time=received,
            body=body,
        ),
        content=content,
        livemode=livemode,
        stripe_account_id=_account(content.get("account")),
    )


def _account(named: Any) -> str | None:
    # One that cannot be read must not pass for our own.
    return None if named is None else required_id(named)


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """What became of one delivery, and how many of its event there were before it."""

    outcome: Outcome
    repeats: int = 0


async def ingest(database: Database, deliveries: Sequence[Delivery]) -> list[Outcome]:
    """Store and apply deliveries as `take_in` does; give their outcomes alone."""
    return [each.outcome for each in await take_in(database, deliveries)]


async def take_in(database: Database, deliveries: Sequence[Delivery]) -> list[Taken]:
    """Store and apply deliveries in one commit; what became of them is in their order.

    Raise `StateUnavailable` when nothing was saved, and whatever a delivery
    that cannot be applied raises: the caller then takes them one by one, and
    stores the one that fails with `store_failed`.
    """

    async def work(connection: AsyncConnection) -> list[Taken]:
        bound = await deployment.get(connection)
        if bound is None:
            raise StateUnavailable("The service has never been started on this database.")
        ours = [each for each in deliveries if _refusal(bound, each) is None]
        locked = await customers.lock(connection, _customer_ids(ours))
        if any(apply.concerns_catalog(each.event.type) for each in ours):
            await catalog.lock(connection)
        before = await _store(connection, ours, database.keyring)
        fresh = _fresh(ours, before)
        outcomes = await apply_deliveries(connection, list(fresh.values()), locked)
        became = dict(zip(fresh, outcomes, strict=True))
        seen = Counter({event_id: known.deliveries for event_id, known in before.items()})
        return [_taken(each, _refusal(bound, each), became, seen) for each in deliveries]

    return await database.write(work)


async def store_failed(database: Database, delivery: Delivery, error: str) -> Outcome:
    """Store a delivery that cannot be applied, and have its customer read instead."""

    async def work(connection: AsyncConnection) -> Outcome:
        received = _sealed(delivery.event, database.keyring)
        await customers.lock(connection, _customer_ids([delivery]))
        await events.store(connection, received)
        # A delivery by Stripe begins our own tries anew.
        now = received.receive_time
        await events.fail(connection, received.event_id, error, attempts=0, now=now)
        ticket = await head.draw(connection)
        await touches.touch_all(connection, _touches(delivery, ticket, urgent=True))
        return Outcome.FAILED

    return await database.write(work)


async def _store(
    connection: AsyncConnection, deliveries: Sequence[Delivery], keyring: Keyring
) -> dict[str, Before]:
    if not deliveries:
        return {}
    received = [_sealed(each.event, keyring) for each in deliveries]
    return await events.store_all(connection, received)


def _sealed(received: ReceivedEvent, keyring: Keyring) -> ReceivedEvent:
    return replace(received, body=keyring.seal(received.event_id, received.body))


def _fresh(deliveries: Sequence[Delivery], before: Mapping[str, Before]) -> dict[str, Delivery]:
    """Give those that have not been applied yet, in the order of arrival; each event once."""
    first = {each.event.event_id: each for each in reversed(deliveries)}
    return {
        event_id: first[event_id]
        for event_id in dict.fromkeys(each.event.event_id for each in deliveries)
        if before[event_id].state not in (EventState.APPLIED, EventState.SKIPPED)
    }


def _taken(
    delivery: Delivery,
    refusal: Outcome | None,
    became: dict[str, Outcome],
    seen: Counter[str],
) -> Taken:
    if refusal is not None:
        return Taken(outcome=refusal)
    event_id = delivery.event.event_id
    seen[event_id] += 1
    # Of an event that comes twice in one batch only the first is taken.
    outcome = became.pop(event_id, Outcome.DUPLICATE)
    return Taken(outcome=outcome, repeats=seen[event_id] - 1)


def _refusal(bound: deployment.Deployment, delivery: Delivery) -> Outcome | None:
    """Tell why a delivery is not even stored; None where it is."""
    if not _is_ours(bound, delivery):
        return Outcome.FOREIGN
    return None if apply.is_of_interest(delivery.event.type) else Outcome.IGNORED


async def apply_deliveries(
    connection: AsyncConnection, deliveries: Sequence[Delivery], locked: Mapping[str, Customer]
) -> list[Outcome]:
    """Apply stored events, in their order, and note what became of each.

    The customers and the catalogue that they concern must be locked.
    """
    if not deliveries:
        return []
    wanted = [apply.wanted(each.content, each.event.type) for each in deliveries]
    work = await unit_of_work.load(connection, locked, wanted)
    tickets = await head.draw_many(connection, len(deliveries))
    states = {
        each.event.event_id: _apply(work, each, ticket)
        for each, ticket in zip(deliveries, tickets, strict=True)
    }
    await work.write(connection)
    await events.settle_all(connection, states)
    return [Outcome(state.value) for state in states.values()]


def _apply(work: UnitOfWork, delivery: Delivery, ticket: int) -> EventState:
    applied = apply.apply(work, delivery.content, delivery.event, ticket=ticket)
    for each in _touches(delivery, ticket, urgent=applied.ask):
        work.touch(each)
    return EventState.APPLIED if applied.saved else EventState.SKIPPED


def _touches(delivery: Delivery, ticket: int, *, urgent: bool) -> list[Changed]:
    received = delivery.event
    if received.customer_id is None:
        return []
    return [
        Changed(
            customer_id=received.customer_id,
            ticket=ticket,
            urgent=urgent,
            time=received.receive_time,
            traceparent=delivery.traceparent,
        )
    ]


def _is_ours(bound: deployment.Deployment, delivery: Delivery) -> bool:
    return delivery.livemode == bound.livemode and delivery.stripe_account_id in (
        None,
        bound.stripe_account_id,
    )


def _customer_ids(deliveries: Sequence[Delivery]) -> list[str]:
    return [each.event.customer_id for each in deliveries if each.event.customer_id is not None]


def _customer_of(held: Mapping[str, Any]) -> str | None:
    own = held.get("id") if held.get("object") == "customer" else held.get("customer")
    customer_id = id_of(own)
    return None if customer_id is None else _id(customer_id)


def _id(value: Any) -> str:
    text = text_of(value)
    if len(text) > MAX_ID:
        raise UnexpectedShape("An id or a type of the event is too long.")
    return text
