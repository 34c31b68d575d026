"""Stripe's objects, as JSON of the pinned API version, read into the model.

Field paths follow API version 2026-10-28.endive: periods are on the items, and
an invoice names its subscription under `parent`.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeGuard

from subscription_state.errors import UnexpectedShape
from subscription_state.model import FirstPayment, Item, Status, Subscription

#: The API version whose shapes are read here; the endpoint must be pinned to it.
API_VERSION = "2026-10-28.endive"

#: The key of an account's id in the metadata of what we create at Stripe.
ACCOUNT_ID_KEY = "account_id"
MAX_ACCOUNT_ID = 200

Json = Mapping[str, Any]


@contextmanager
def _reading(what: str) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UnexpectedShape(f"This is not {what} as we know it.") from error


@_reading("a subscription")
def subscription_from_stripe(raw: Json) -> Subscription:
    """Read a Subscription object; raise `UnexpectedShape` where it is none.

    Where `latest_invoice` is expanded, it tells about the first payment. Where
    `items` holds only their first page, the caller has to add the others.
    """
    items = tuple(_item(item) for item in _all_of(raw["items"]))
    status = Status(text_of(raw["status"]))
    return Subscription(
        subscription_id=required_id(raw["id"]),
        customer_id=required_id(raw["customer"]),
        status=status,
        items=items,
        create_time=moment(raw["created"]),
        trial_end=optional_moment(raw.get("trial_end")),
        cancel_time=_cancel_time(raw, items),
        end_time=optional_moment(raw.get("ended_at")),
        first_payment=_first_payment(raw) or FirstPayment.PENDING,
        unpaid_since=_unpaid_since(raw) if status is Status.PAST_DUE else None,
    )


@_reading("an invoice")
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


@_reading("an invoice")
def subscription_of_invoice(invoice: Json) -> str | None:
    """Name the subscription that an invoice belongs to; None for others."""
    parent = invoice.get("parent") or {}
    details = parent.get("subscription_details") or {}
    return id_of(details.get("subscription"))


def account_of(raw: Json) -> str | None:
    """Name the account that our metadata on a Stripe object gives; None without it."""
    metadata = raw.get("metadata")
    account_id = metadata.get(ACCOUNT_ID_KEY) if isinstance(metadata, Mapping) else None
    if not _is_text(account_id) or len(account_id) > MAX_ACCOUNT_ID:
        return None
    return account_id


def id_of(reference: Any) -> str | None:
    """Give the id of what Stripe names by its id, or gives whole where it was expanded."""
    if isinstance(reference, Mapping):
        reference = reference.get("id")
    return reference if _is_text(reference) else None


def required_id(reference: Any) -> str:
    """Give the id as `id_of` does; raise `UnexpectedShape` where there is none."""
    named = id_of(reference)
    if named is None:
        raise UnexpectedShape("An id of Stripe's is missing.")
    return named


def text_of(value: Any) -> str:
    """Give a word of Stripe's, such as a status; raise `UnexpectedShape` where it is none."""
    if not _is_text(value):
        raise UnexpectedShape("A word of Stripe's is missing.")
    return value


def _is_text(value: Any) -> TypeGuard[str]:
    # No database keeps every string: PostgreSQL refuses NUL, and a lone
    # surrogate, which JSON can spell, has no UTF-8.
    return isinstance(value, str) and value != "" and value.isprintable()


def moment(seconds: Any) -> datetime:
    """Read one of Stripe's times, seconds since 1970."""
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        raise UnexpectedShape("A time of Stripe's is not a number of seconds.")
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise UnexpectedShape("A time of Stripe's is out of all bounds.") from error


def optional_moment(seconds: Any) -> datetime | None:
    return None if seconds is None else moment(seconds)


def _all_of(listed: Json) -> list[Any]:
    held = listed["data"]
    if not isinstance(held, list) or listed.get("has_more"):
        # What a part of the items says about the whole would be wrong.
        raise UnexpectedShape("The subscription's items are not all here.")
    return held


def _item(raw: Json) -> Item:
    price = raw["price"]
    return Item(
        price_id=required_id(price["id"]),
        product_id=required_id(price["product"]),
        quantity=_quantity(raw.get("quantity")),
        period_end=optional_moment(raw.get("current_period_end")),
    )


def _quantity(units: Any) -> int:
    if units is None:
        # A metered price has no quantity; whoever holds it holds it once.
        return 1
    if not isinstance(units, int) or isinstance(units, bool) or units < 0:
        raise UnexpectedShape("An item's quantity is not a number of units.")
    return units


def _cancel_time(raw: Json, items: tuple[Item, ...]) -> datetime | None:
    if raw.get("cancel_at") is not None:
        return moment(raw["cancel_at"])
    if not raw.get("cancel_at_period_end"):
        return None
    return max((item.period_end for item in items if item.period_end), default=None)


def _first_payment(raw: Json) -> FirstPayment | None:
    invoice = raw.get("latest_invoice", "")
    if isinstance(invoice, Mapping):
        return judge_first_payment([invoice])
    # Null, and not merely left out: nothing has been billed, so nothing is owed.
    return FirstPayment.CONFIRMED if invoice is None else None


def _unpaid_since(raw: Json) -> datetime | None:
    """Estimate when the unpaid invoice was created: at the start of the period.

    A verify puts the invoice's own time in its place.
    """
    starts = [item.get("current_period_start") for item in raw["items"]["data"]]
    return max((moment(start) for start in starts if start is not None), default=None)
