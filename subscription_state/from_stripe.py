"""Stripe's objects, as JSON of the pinned API version, read into the model.

Field paths follow API version 2026-10-28.endive: periods are on the items, and
an invoice names its subscription under `parent`.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from subscription_state.errors import UnexpectedShape
from subscription_state.model import FirstPayment, Item, Status, Subscription

#: The API version whose shapes are read here; the endpoint must be pinned to it.
API_VERSION = "2026-10-28.endive"

#: The key of an account's id in the metadata of what we create at Stripe.
ACCOUNT_ID_KEY = "account_id"
MAX_ACCOUNT_ID = 200

Json = Mapping[str, Any]


def subscription_from_stripe(raw: Json) -> Subscription:
    """Read a Subscription object; raise `UnexpectedShape` where it is none.

    Where `latest_invoice` is expanded, it tells about the first payment.
    """
    try:
        items = tuple(_item(item) for item in raw["items"]["data"])
        status = Status(raw["status"])
        return Subscription(
            subscription_id=raw["id"],
            customer_id=id_of(raw["customer"]) or "",
            status=status,
            items=items,
            create_time=moment(raw["created"]),
            trial_end=optional_moment(raw.get("trial_end")),
            cancel_time=_cancel_time(raw, items),
            end_time=optional_moment(raw.get("ended_at")),
            first_payment=_first_payment(raw) or FirstPayment.PENDING,
            unpaid_since=_unpaid_since(raw) if status is Status.PAST_DUE else None,
        )
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise UnexpectedShape("This is not a subscription as we know it.") from error


def judge_first_payment(invoices: Iterable[Json]) -> FirstPayment | None:
    """Tell from a subscription's invoices, newest first; None where they do not tell.

    Paid → confirmed. Of the first invoice (`subscription_create`): open →
    pending; void or uncollectible → failed. A draft, or a renewal that is not
    paid, says nothing about the first payment: look at the one before.
    """
    verdicts = (_invoice_verdict(invoice) for invoice in invoices)
    return next((verdict for verdict in verdicts if verdict), None)


_FIRST_INVOICE_VERDICTS = {
    "open": FirstPayment.PENDING,
    "void": FirstPayment.FAILED,
    "uncollectible": FirstPayment.FAILED,
}


def _invoice_verdict(invoice: Json) -> FirstPayment | None:
    if invoice.get("status") == "paid":
        return FirstPayment.CONFIRMED
    if invoice.get("billing_reason") != "subscription_create":
        return None
    return _FIRST_INVOICE_VERDICTS.get(invoice.get("status") or "")


def subscription_of_invoice(invoice: Json) -> str | None:
    """Name the subscription that an invoice belongs to; None for others."""
    parent = invoice.get("parent") or {}
    details = parent.get("subscription_details") or {}
    return id_of(details.get("subscription"))


def account_of(raw: Json) -> str | None:
    """Name the account that our metadata on a Stripe object gives; None without it."""
    metadata = raw.get("metadata")
    account_id = metadata.get(ACCOUNT_ID_KEY) if isinstance(metadata, Mapping) else None
    if not isinstance(account_id, str) or not 0 < len(account_id) <= MAX_ACCOUNT_ID:
        return None
    return account_id


def id_of(reference: Any) -> str | None:
    """Give the id of what Stripe names by its id, or gives whole where it was expanded."""
    if isinstance(reference, Mapping):
        reference = reference.get("id")
    return reference if isinstance(reference, str) and reference else None


def moment(seconds: Any) -> datetime:
    """Read one of Stripe's times, seconds since 1970."""
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        raise UnexpectedShape("A time of Stripe's is not a number of seconds.")
    return datetime.fromtimestamp(seconds, UTC)


def optional_moment(seconds: Any) -> datetime | None:
    return None if seconds is None else moment(seconds)


def _item(raw: Json) -> Item:
    price = raw["price"]
    product_id = id_of(price["product"])
    if product_id is None:
        raise UnexpectedShape("An item's price names no product.")
    quantity = raw.get("quantity")
    return Item(
        price_id=price["id"],
        product_id=product_id,
        # A metered price has no quantity; whoever holds it holds it once.
        quantity=1 if quantity is None else int(quantity),
        period_end=optional_moment(raw.get("current_period_end")),
    )


def _cancel_time(raw: Json, items: tuple[Item, ...]) -> datetime | None:
    if raw.get("cancel_at") is not None:
        return moment(raw["cancel_at"])
    if not raw.get("cancel_at_period_end"):
        return None
    return max((item.period_end for item in items if item.period_end), default=None)


def _first_payment(raw: Json) -> FirstPayment | None:
    invoice = raw.get("latest_invoice")
    if isinstance(invoice, Mapping):
        return judge_first_payment([invoice])
    # Nothing has been billed, so nothing is owed.
    return FirstPayment.CONFIRMED if invoice is None else None


def _unpaid_since(raw: Json) -> datetime | None:
    """Estimate when the unpaid invoice was created: at the start of the period.

    A verify puts the invoice's own time in its place.
    """
    starts = [item.get("current_period_start") for item in raw["items"]["data"]]
    return max((moment(start) for start in starts if start is not None), default=None)
