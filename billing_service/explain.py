"""A decision in sentences that may be shown to the customer whom it is about."""

from collections.abc import Iterator
from datetime import datetime

from subscription_state.catalog import Catalog
from subscription_state.entitlements import Decision, Reason, Subject
from subscription_state.model import AccountState, Grant, Status, Subscription

#: Why, as what comes after "The account may (not) use it:". `{id}` is the subscription's.
_BECAUSE = {
    Reason.ACTIVE: "subscription {id} is active and includes it.",
    Reason.TRIALING: "it is included in subscription {id}, which is in its trial.",
    Reason.GRACE_PERIOD: "a payment for subscription {id} is late, and still within the period "
    "of grace.",
    Reason.GRANT: "it was given by hand.",
    Reason.NO_SUBSCRIPTION: "it has no subscription.",
    Reason.NOT_IN_PLAN: "what it subscribes to does not include it.",
    Reason.PAST_DUE: "a payment for subscription {id} is late, and the period of grace is over.",
    Reason.UNPAID: "every try to collect the payment for subscription {id} has failed.",
    Reason.CANCELED: "subscription {id}, which included it, has ended.",
    Reason.INCOMPLETE: "the first payment for subscription {id} has not succeeded.",
    Reason.PAUSED: "subscription {id}, which includes it, is paused.",
    Reason.PAYMENT_PENDING: "the first payment for subscription {id} is on its way and has not "
    "arrived. Banks take some days.",
    Reason.PAYMENT_FAILED: "the first payment for subscription {id} was not honoured by the bank.",
    Reason.UNKNOWN_SUBJECT: "no product that is sold includes it. Its name may be mistyped.",
    Reason.UNKNOWN_STATUS: "Stripe reports a status of subscription {id} that is not known here.",
}
_SAID = {Status.PAST_DUE: "past due", Status.INCOMPLETE_EXPIRED: "expired before it was paid"}


def explain(
    account: AccountState, subject: Subject, decision: Decision, catalog: Catalog
) -> list[str]:
    """Say why, what may change it by itself, and what each thing that was looked at gives."""
    return [
        _verdict(subject, decision),
        *_by_itself(decision),
        *_sold_as(subject, catalog),
        *(_about(each, subject, catalog) for each in account.subscriptions),
        *(_about_grant(each) for each in account.grants if each.feature == subject.feature),
        *(["Stripe has deleted the customer."] if account.customer_deleted else []),
    ]


def _verdict(subject: Subject, decision: Decision) -> str:
    may = "may" if decision.entitled else "may not"
    because = _BECAUSE[decision.reason].format(id=decision.subscription_id)
    return f"The account {may} use {subject.feature or subject.product_id}: {because}"


def _by_itself(decision: Decision) -> Iterator[str]:
    if decision.valid_until is not None:
        yield f"Time alone may change this at {_told(decision.valid_until)}."


def _sold_as(subject: Subject, catalog: Catalog) -> Iterator[str]:
    if not subject.feature:
        return
    giving = sorted(each for each in catalog if subject.feature in catalog[each].features)
    if giving:
        yield f"Products that include it: {', '.join(giving)}."


def _about(subscription: Subscription, subject: Subject, catalog: Catalog) -> str:
    status = _SAID.get(subscription.status, subscription.status.value)
    gives = any(_gives(product_id, subject, catalog) for product_id in subscription.product_ids)
    said = f"Subscription {subscription.subscription_id} is {status} and"
    said += " includes it" if gives else " does not include it"
    ends = ((subscription.end_time, "it ended"), (subscription.cancel_time, "its end is set for"))
    for moment, what in ends:
        if moment is not None:
            return f"{said}; {what} {_told(moment)}."
    return f"{said}."


def _gives(product_id: str, subject: Subject, catalog: Catalog) -> bool:
    if subject.product_id:
        return product_id == subject.product_id
    return product_id in catalog and subject.feature in catalog[product_id].features


def _about_grant(grant: Grant) -> str:
    said = f"It was given by hand on {_told(grant.create_time)}"
    if grant.revoke_time is not None:
        return f"{said} and taken back on {_told(grant.revoke_time)}."
    if grant.expire_time is not None:
        return f"{said}, until {_told(grant.expire_time)}."
    return f"{said}, without an end."


def _told(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
