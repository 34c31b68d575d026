"""Whether an account may use a feature or a product now: one pure function, no I/O.

`decide` looks at every subscription and grant by itself, takes the best
answer, and finds the first moment at which time alone would change it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from subscription_state.catalog import Catalog
from subscription_state.model import (
    AccountState,
    FirstPayment,
    Grant,
    Status,
    Subscription,
)

#: For how many days a late payment may be forgiven.
MOST_GRACE_DAYS = 365


class Reason(StrEnum):
    """Why an account is entitled or not; the values are those of the contract's enum."""

    ACTIVE = "ACTIVE"
    TRIALING = "TRIALING"
    GRACE_PERIOD = "GRACE_PERIOD"
    GRANT = "GRANT"
    NO_SUBSCRIPTION = "NO_SUBSCRIPTION"
    NOT_IN_PLAN = "NOT_IN_PLAN"
    PAST_DUE = "PAST_DUE"
    UNPAID = "UNPAID"
    CANCELED = "CANCELED"
    INCOMPLETE = "INCOMPLETE"
    PAUSED = "PAUSED"
    PAYMENT_PENDING = "PAYMENT_PENDING"
    PAYMENT_FAILED = "PAYMENT_FAILED"
    UNKNOWN_SUBJECT = "UNKNOWN_SUBJECT"
    UNKNOWN_STATUS = "UNKNOWN_STATUS"


ENTITLING = frozenset({Reason.ACTIVE, Reason.TRIALING, Reason.GRANT, Reason.GRACE_PERIOD})

#: Best first; where none entitles, nearest to entitled first.
_ORDER = (
    Reason.ACTIVE,
    Reason.TRIALING,
    Reason.GRANT,
    Reason.GRACE_PERIOD,
    Reason.PAYMENT_PENDING,
    Reason.PAST_DUE,
    Reason.PAUSED,
    Reason.INCOMPLETE,
    Reason.PAYMENT_FAILED,
    Reason.UNPAID,
    Reason.UNKNOWN_STATUS,
    Reason.CANCELED,
    Reason.NOT_IN_PLAN,
    Reason.NO_SUBSCRIPTION,
)
_RANK = {reason: rank for rank, reason in enumerate(_ORDER)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What is asked about: a feature by lookup key, or a product by id. Exactly one is set."""

    feature: str = ""
    product_id: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What the operator has decided."""

    #: How long a late payment is forgiven, from the unpaid invoice's creation.
    grace: timedelta = timedelta(days=3)
    #: Whether a first bank debit that is on its way already entitles.
    pending_entitles: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """One decision, and what it rests on."""

    reason: Reason
    subscription_id: str = ""
    grant_id: str = ""
    #: The status of the subscription that decided.
    status: Status | None = None
    #: Units over all entitling subscriptions.
    quantity: int = 0
    #: The first moment at which time alone may change the decision.
    valid_until: datetime | None = None

    @property
    def entitled(self) -> bool:
        return self.reason in ENTITLING


def decide(
    account: AccountState, subject: Subject, *, catalog: Catalog, policy: Policy, now: datetime
) -> Decision:
    """Decide whether the account may use the subject at `now`."""
    decision = _decide_at(account, subject, catalog, policy, now)
    for moment in sorted(m for m in boundaries(account, catalog, policy) if m > now):
        if _decide_at(account, subject, catalog, policy, moment) != decision:
            return replace(decision, valid_until=moment)
    return decision


def subjects_of(account: AccountState, catalog: Catalog) -> list[Subject]:
    """List whatever the account may be entitled to, now or at another time, by name."""
    products = {each for held in account.subscriptions for each in held.product_ids}
    features = {grant.feature for grant in account.grants}
    for product_id in products & catalog.keys():
        features |= catalog[product_id].features
    return [
        *(Subject(feature=feature) for feature in sorted(features)),
        *(Subject(product_id=product_id) for product_id in sorted(products)),
    ]


def _decide_at(
    account: AccountState, subject: Subject, catalog: Catalog, policy: Policy, now: datetime
) -> Decision:
    giving = _products_giving(subject, catalog)
    answers = [
        *_grant_answers(account.grants, subject, now),
        *_subscription_answers(account, giving, catalog, policy, now),
    ]
    if answers:
        best = min(answers, key=lambda answer: (_RANK[answer.reason], answer.subscription_id))
        return _summed(best, answers)
    if not giving & catalog.keys() and not _was_granted(account, subject):
        return Decision(reason=Reason.UNKNOWN_SUBJECT)
    has_plan = any(each.live for each in account.subscriptions) and not account.customer_deleted
    return Decision(reason=Reason.NOT_IN_PLAN if has_plan else Reason.NO_SUBSCRIPTION)


def _summed(best: Decision, answers: Iterable[Decision]) -> Decision:
    """Add up the units of all that entitle: seats of two subscriptions are one pool."""
    units = sum(answer.quantity for answer in answers if answer.entitled)
    return replace(best, quantity=units)


def _products_giving(subject: Subject, catalog: Catalog) -> frozenset[str]:
    if subject.product_id:
        # Whoever has a product has it, also while the mirror does not know it.
        return frozenset({subject.product_id})
    return frozenset(
        product_id for product_id, each in catalog.items() if subject.feature in each.features
    )


def _grant_answers(grants: Iterable[Grant], subject: Subject, now: datetime) -> Iterable[Decision]:
    for grant in grants:
        if subject.feature and grant.feature == subject.feature and _holds(grant, now):
            yield Decision(reason=Reason.GRANT, grant_id=grant.grant_id)


def _holds(grant: Grant, now: datetime) -> bool:
    return all(end is None or now < end for end in (grant.expire_time, grant.revoke_time))


def _was_granted(account: AccountState, subject: Subject) -> bool:
    return any(subject.feature and grant.feature == subject.feature for grant in account.grants)


def _subscription_answers(
    account: AccountState, giving: frozenset[str], catalog: Catalog, policy: Policy, now: datetime
) -> Iterable[Decision]:
    """Answer for every product of every subscription: grace may differ between products."""
    for each in account.subscriptions:
        for product_id in sorted(each.product_ids & giving):
            grace = grace_of(product_id, catalog, policy)
            known = Reason.CANCELED if account.customer_deleted else None
            yield Decision(
                reason=known or reason_for(each, replace(policy, grace=grace), now),
                subscription_id=each.subscription_id,
                status=each.status,
                quantity=sum(i.quantity for i in each.items if i.product_id == product_id),
            )


def grace_of(product_id: str, catalog: Catalog, policy: Policy) -> timedelta:
    """Give for how long a late payment of the product is forgiven."""
    product = catalog.get(product_id)
    if product is None or product.grace_days is None:
        return policy.grace
    return timedelta(days=product.grace_days)


def reason_for(subscription: Subscription, policy: Policy, now: datetime) -> Reason:
    """Tell why one subscription entitles to its products at `now`, or why not."""
    if subscription.cancel_time is not None and now >= subscription.cancel_time:
        return Reason.CANCELED
    return _BY_STATUS[subscription.status](subscription, policy, now)


def _active(subscription: Subscription, policy: Policy, _now: datetime) -> Reason:
    if subscription.first_payment is FirstPayment.PENDING and policy.pending_entitles:
        return Reason.ACTIVE
    return _ACTIVE_BY_PAYMENT[subscription.first_payment]


_ACTIVE_BY_PAYMENT = {
    FirstPayment.CONFIRMED: Reason.ACTIVE,
    FirstPayment.PENDING: Reason.PAYMENT_PENDING,
    FirstPayment.FAILED: Reason.PAYMENT_FAILED,
}


def _trialing(subscription: Subscription, _policy: Policy, now: datetime) -> Reason:
    if subscription.trial_end is None or now < subscription.trial_end:
        return Reason.TRIALING
    # Over by the clock, and Stripe has not yet said what it turned into.
    return Reason.PAYMENT_PENDING


def _past_due(subscription: Subscription, policy: Policy, now: datetime) -> Reason:
    end = grace_end(subscription, policy.grace)
    return Reason.GRACE_PERIOD if end is not None and now < end else Reason.PAST_DUE


def grace_end(subscription: Subscription, grace: timedelta) -> datetime | None:
    """Give when the grace of a past due subscription ends; None where it has none."""
    if subscription.status is not Status.PAST_DUE or subscription.unpaid_since is None:
        return None
    return subscription.unpaid_since + grace


def _always(reason: Reason) -> Callable[[Subscription, Policy, datetime], Reason]:
    return lambda _subscription, _policy, _now: reason


_BY_STATUS: dict[Status, Callable[[Subscription, Policy, datetime], Reason]] = {
    Status.ACTIVE: _active,
    Status.TRIALING: _trialing,
    Status.PAST_DUE: _past_due,
    Status.UNPAID: _always(Reason.UNPAID),
    Status.CANCELED: _always(Reason.CANCELED),
    Status.INCOMPLETE: _always(Reason.INCOMPLETE),
    Status.INCOMPLETE_EXPIRED: _always(Reason.INCOMPLETE),
    Status.PAUSED: _always(Reason.PAUSED),
    Status.UNKNOWN: _always(Reason.UNKNOWN_STATUS),
}


def boundaries(account: AccountState, catalog: Catalog, policy: Policy) -> set[datetime]:
    """Give every moment at which the clock alone could change a decision about the account."""
    moments = {grant.expire_time for grant in account.grants}
    moments |= {grant.revoke_time for grant in account.grants}
    for each in account.subscriptions:
        graces = {grace_of(product_id, catalog, policy) for product_id in each.product_ids}
        moments |= {each.cancel_time, each.trial_end}
        moments |= {grace_end(each, grace) for grace in graces}
    return {moment for moment in moments if moment is not None}
