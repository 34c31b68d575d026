"""Answers in words and columns, for people. Times are UTC."""

from collections.abc import Sequence
from datetime import UTC

from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import RenderableType
from rich.text import Text

from paidup.cli.json_form import short_name
from paidup.cli.output import Columns, clean, table
from paidup.v1 import admin_service_pb2 as admin
from paidup.v1 import billing_service_pb2 as billing
from paidup.v1.entitlement_pb2 import Entitlement, EntitlementReason
from paidup.v1.subscription_pb2 import Subscription, SubscriptionStatus

Parts = Sequence[RenderableType]


def moment(stamp: Timestamp) -> str:
    """Say when; nothing for a time that is not there."""
    if stamp == Timestamp():
        return ""
    return stamp.ToDatetime(UTC).strftime("%Y-%m-%d %H:%M:%S")


def subject(entitlement: Entitlement) -> str:
    return entitlement.feature or entitlement.product_id


def reason(entitlement: Entitlement) -> str:
    return short_name(EntitlementReason.DESCRIPTOR, entitlement.reason)


def status(subscription: Subscription) -> str:
    return short_name(SubscriptionStatus.DESCRIPTOR, subscription.status)


def _source(entitlement: Entitlement) -> str:
    return entitlement.subscription_id or entitlement.grant_id


def _items(subscription: Subscription) -> str:
    return ", ".join(
        each.product_id + (f" x{each.quantity}" if each.quantity > 1 else "")
        for each in subscription.items
    )


def _ends(subscription: Subscription) -> str:
    """Say when it ended or will end."""
    ended = moment(subscription.end_time)
    return ended or moment(subscription.cancel_time)


def _state(event: admin.Event) -> str:
    return short_name(admin.EventState.DESCRIPTOR, event.state)


ENTITLEMENTS: Columns[Entitlement] = {
    "subject": subject,
    "reason": reason,
    "quantity": lambda each: str(each.quantity),
    "by": _source,
    "valid until": lambda each: moment(each.valid_until_time),
}

SUBSCRIPTIONS: Columns[Subscription] = {
    "subscription": lambda each: each.subscription_id,
    "status": status,
    "products": _items,
    "created": lambda each: moment(each.create_time),
    "ends": _ends,
    "verified": lambda each: moment(each.verify_time),
}

GRANTS: Columns[admin.Grant] = {
    "grant": lambda each: each.grant_id,
    "feature": lambda each: each.feature,
    "given": lambda each: moment(each.create_time),
    "by": lambda each: each.creator,
    "expires": lambda each: moment(each.expire_time),
    "revoked": lambda each: moment(each.revoke_time),
    "note": lambda each: each.note,
}

EVENTS: Columns[admin.Event] = {
    "event": lambda each: each.event_id,
    "type": lambda each: each.type,
    "customer": lambda each: each.customer_id,
    "created": lambda each: moment(each.create_time),
    "state": _state,
    "deliveries": lambda each: str(each.deliveries),
    "error": lambda each: each.error,
}


AUDIT: Columns[admin.AuditEntry] = {
    "when": lambda each: moment(each.create_time),
    "who": lambda each: each.caller,
    "method": lambda each: each.method,
    "account": lambda each: each.account_id,
    "what": lambda each: ", ".join(f"{name} {each.facts[name]}" for name in sorted(each.facts)),
    "request": lambda each: each.request_id,
}


def decision(entitlement: Entitlement) -> Text:
    """Say a decision in one line, such as `acme: api_access: entitled (ACTIVE) by sub_1`."""
    said = Text(clean(f"{entitlement.account_id}: {subject(entitlement)}: "))
    word, colour = ("entitled", "green") if entitlement.entitled else ("not entitled", "red")
    said.append(word, style=colour)
    said.append(f" ({reason(entitlement)})")
    if source := _source(entitlement):
        said.append(clean(f" by {source}"))
    if until := moment(entitlement.valid_until_time):
        said.append(f" until {until} UTC")
    return said


def check(answer: billing.CheckEntitlementResponse) -> Parts:
    return [decision(answer.entitlement)]


def entitlements(answer: billing.ListEntitlementsResponse) -> Parts:
    return [table(answer.entitlements, ENTITLEMENTS)]


def explanation(answer: admin.ExplainEntitlementResponse) -> Parts:
    sentences = [Text(f"  {clean(sentence)}") for sentence in answer.explanation]
    return [
        decision(answer.entitlement),
        *sentences,
        *_titled("Subscriptions", table(answer.subscriptions, SUBSCRIPTIONS)),
        *_titled("Grants", table(answer.grants, GRANTS)),
        *_titled("Latest events", table(answer.events, EVENTS)),
    ]


def granted(answer: admin.CreateGrantResponse) -> Parts:
    return [table([answer.grant], GRANTS)]


def revoked(answer: admin.RevokeGrantResponse) -> Parts:
    return [table([answer.grant], GRANTS)]


def replayed(answer: admin.ReplayEventResponse) -> Parts:
    return [table([answer.event], EVENTS)]


def refreshed(answer: admin.RefreshAccountResponse) -> Parts:
    differed = "Differed from Stripe, and was corrected." if answer.drifted else "As Stripe has it."
    return [Text(differed), table(answer.subscriptions, SUBSCRIPTIONS)]


def linked(answer: admin.LinkCustomerResponse) -> Parts:
    return [Text("Linked."), table(answer.subscriptions, SUBSCRIPTIONS)]


def erased(answer: admin.EraseAccountResponse) -> Parts:
    return [Text(f"Erased. Stored events that lost their content: {answer.erased_events}.")]


def checkout(answer: billing.CreateCheckoutSessionResponse) -> Parts:
    """Say all but the client secret, which nobody who looks at the screen needs."""
    told = {
        "session": answer.session_id,
        "customer": answer.customer_id,
        "pay at": answer.url,
        "client secret": "not shown; --json prints it" if answer.client_secret else "",
        "publishable key": answer.publishable_key,
        "expires": moment(answer.expire_time),
        "reused": "yes, it was open already" if answer.reused else "",
    }
    return [Text(f"{name:>15}  {clean(value)}") for name, value in told.items() if value]


def portal(answer: billing.CreatePortalSessionResponse) -> Parts:
    return [Text(clean(answer.url))]


def _titled(title: str, what: RenderableType) -> Parts:
    return [Text(""), Text(title, style="bold"), what]
