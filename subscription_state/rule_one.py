"""Rule 1, apply now: whether an event's content may be saved over what is stored.

Stripe delivers late, twice and out of order, and `created` has whole seconds.
An event is saved only where it is provably not older than what is stored; all
else is left to Rule 2, which reads the customer from Stripe.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any

from subscription_state.model import TERMINAL, StoredSubscription, Subscription


class Verdict(Enum):
    """What to do with an event's content."""

    #: Save it: nothing newer is stored.
    SAVE = auto()
    #: Leave it: what is stored is as new or newer.
    SKIP = auto()
    #: Leave it, and read the customer at once: the order cannot be told.
    ASK = auto()


@dataclass(frozen=True, kw_only=True, slots=True)
class SubscriptionEvent:
    """The content of a `customer.subscription.*` event."""

    #: `created` of the event.
    created: datetime
    subscription: Subscription
    #: `data.previous_attributes`: the values that this change replaced.
    previous: Mapping[str, Any]


def judge(stored: StoredSubscription | None, event: SubscriptionEvent) -> Verdict:
    """Compare an event's `created` with the last read and the last event that was saved."""
    if stored is None:
        return Verdict.SAVE
    if stored.subscription.status in TERMINAL:
        return Verdict.SKIP
    by_read = _beside_last_read(stored, event.created)
    if by_read is not Verdict.SAVE:
        return by_read
    return _beside_last_event(stored, event)


def _beside_last_read(stored: StoredSubscription, created: datetime) -> Verdict:
    if stored.as_of_start is None or stored.as_of_end is None or created > stored.as_of_end:
        return Verdict.SAVE
    return Verdict.SKIP if created <= stored.as_of_start else Verdict.ASK


def _beside_last_event(stored: StoredSubscription, event: SubscriptionEvent) -> Verdict:
    if stored.event_time is None or event.created > stored.event_time:
        return Verdict.SAVE
    if event.created < stored.event_time:
        return Verdict.SKIP
    return Verdict.SAVE if follows(stored.subscription, event) else Verdict.ASK


def follows(stored: Subscription, event: SubscriptionEvent) -> bool:
    """Tell whether a change replaced exactly what is stored.

    Every value that it replaced must be one that we store, and what it left must be
    stored already; a change that names none proves nothing.
    """
    known = _as_stripe_has_it(stored)
    if not event.previous or not event.previous.keys() <= known.keys():
        return False
    return known == _as_stripe_has_it(event.subscription) | dict(event.previous)


def _as_stripe_has_it(subscription: Subscription) -> dict[str, Any]:
    return {
        "status": subscription.status.value,
        "trial_end": _seconds(subscription.trial_end),
        "ended_at": _seconds(subscription.end_time),
        "cancel_at": _seconds(subscription.cancel_time),
    }


def _seconds(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp())
