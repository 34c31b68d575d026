"""The limits of what callers send: every field that breaks its rule is named at once."""

import re
from collections.abc import Mapping
from datetime import timedelta

from billing_service.errors import UrlNotAllowed
from billing_service.urls import MAX_URL, AllowedOrigins
from billing_service.violations import (
    MAX_ID,
    MAX_LOOKUP_KEY,
    UUID,
    Violations,
    account_id,
    subject,
)
from paidup.v1 import admin_service_pb2 as admin
from paidup.v1 import billing_service_pb2 as pb

MAX_LINE_ITEMS = 40
MAX_CHECKS = 1000
MAX_WATCHED = 10_000
MAX_QUANTITY = 999_999
MAX_TRIAL_DAYS = 730
MAX_EMAIL = 512
MAX_CUSTOM_TEXT = 1200
#: Stripe's limits of metadata, less the entry that is ours.
MAX_METADATA = 49
MAX_METADATA_KEY = 40
MAX_METADATA_VALUE = 500
RESERVED_METADATA = frozenset({"account_id"})
SESSION_ID_TEMPLATE = "{CHECKOUT_SESSION_ID}"

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_LOCALE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,4})?|auto")
#: Brackets are how Stripe's forms nest: with them a key could pass for another.
_METADATA_KEY = re.compile(r"[^\x00-\x1f\x7f\[\]]*")


def checkout_request(request: pb.CreateCheckoutSessionRequest, origins: AllowedOrigins) -> None:
    """Raise `InvalidRequest` or `UrlNotAllowed` unless the request keeps the contract."""
    found = Violations()
    account_id(request.account_id, found)
    _line_items(request, found)
    _form(request, found)
    _metadata(request.metadata, found)
    _urls(request, found)
    found.text("request_id", request.request_id, longest=36, rule=UUID)
    found.raise_any()
    for field in ("return_url", "success_url", "cancel_url"):
        allowed_url(field, getattr(request, field), origins)


def allowed_url(field: str, url: str, origins: AllowedOrigins) -> None:
    if url and not origins.allow(url):
        raise UrlNotAllowed(field)


def _line_items(request: pb.CreateCheckoutSessionRequest, found: Violations) -> None:
    items = request.line_items
    found.check("line_items", bool(items), "At least one is required.")
    found.check("line_items", len(items) <= MAX_LINE_ITEMS, f"Are more than {MAX_LINE_ITEMS}.")
    for index, item in enumerate(items[:MAX_LINE_ITEMS]):
        field = f"line_items[{index}]"
        found.text(f"{field}.price", item.price, longest=MAX_LOOKUP_KEY, required=True)
        in_range = 0 <= item.quantity <= MAX_QUANTITY
        found.check(f"{field}.quantity", in_range, f"Must be 0 to {MAX_QUANTITY}.")


def _form(request: pb.CreateCheckoutSessionRequest, found: Violations) -> None:
    found.check("ui_mode", request.ui_mode in pb.UiMode.values(), "Is not known here.")
    found.text("customer_email", request.customer_email, longest=MAX_EMAIL, rule=_EMAIL)
    found.text("locale", request.locale, longest=10, rule=_LOCALE)
    in_range = 0 <= request.trial_period_days <= MAX_TRIAL_DAYS
    found.check("trial_period_days", in_range, f"Must be 0 to {MAX_TRIAL_DAYS}.")
    for name in ("submit", "after_submit", "terms_of_service_acceptance"):
        text = getattr(request.custom_text, name)
        short = len(text) <= MAX_CUSTOM_TEXT
        found.check(f"custom_text.{name}", short, f"Has more than {MAX_CUSTOM_TEXT} characters.")


def _metadata(metadata: Mapping[str, str], found: Violations) -> None:
    found.check("metadata", len(metadata) <= MAX_METADATA, f"Has more than {MAX_METADATA} entries.")
    for key, value in list(metadata.items())[: MAX_METADATA + 1]:
        # The key comes from outside: it is cut before it is named in the answer.
        field = f"metadata[{key[:MAX_METADATA_KEY]}]"
        found.text(field, key, longest=MAX_METADATA_KEY, required=True, rule=_METADATA_KEY)
        found.check(field, key not in RESERVED_METADATA, "Is set by the service.")
        short = len(value) <= MAX_METADATA_VALUE
        found.check(field, short, f"Has more than {MAX_METADATA_VALUE} characters.")


def _urls(request: pb.CreateCheckoutSessionRequest, found: Violations) -> None:
    hosted = request.ui_mode == pb.UI_MODE_HOSTED_PAGE
    required = "success_url" if hosted else "return_url"
    foreign = ("return_url",) if hosted else ("success_url", "cancel_url")
    for field in ("return_url", "success_url", "cancel_url"):
        url = getattr(request, field)
        found.text(field, url, longest=MAX_URL, required=field == required)
        found.check(field, not (url and field in foreign), "Does not go with the ui_mode.")
    if not hosted and request.return_url:
        held = SESSION_ID_TEMPLATE in request.return_url
        found.check("return_url", held, f"Must hold {SESSION_ID_TEMPLATE}.")


def session_status_request(request: pb.GetSessionStatusRequest) -> None:
    found = Violations()
    account_id(request.account_id, found)
    found.text("session_id", request.session_id, longest=MAX_ID, required=True)
    found.raise_any()


def portal_request(request: pb.CreatePortalSessionRequest, origins: AllowedOrigins) -> None:
    found = Violations()
    account_id(request.account_id, found)
    found.text("return_url", request.return_url, longest=MAX_URL)
    found.check("flow", request.flow in pb.PortalFlow.values(), "Is not known here.")
    found.text("subscription_id", request.subscription_id, longest=MAX_ID)
    found.text("locale", request.locale, longest=10, rule=_LOCALE)
    found.raise_any()
    allowed_url("return_url", request.return_url, origins)


def check_request(request: pb.CheckEntitlementRequest) -> None:
    found = Violations()
    account_id(request.account_id, found)
    subject(request, found)
    _consistency(request, found)
    found.raise_any()


def batch_check_request(request: pb.BatchCheckEntitlementsRequest) -> None:
    found = Violations()
    checks = request.checks
    found.check("checks", bool(checks), "At least one is required.")
    found.check("checks", len(checks) <= MAX_CHECKS, f"Are more than {MAX_CHECKS}.")
    for index, check in enumerate(checks[:MAX_CHECKS]):
        field = f"checks[{index}]."
        account_id(check.account_id, found, f"{field}account_id")
        subject(check, found, field)
    _consistency(request, found)
    found.raise_any()


def list_entitlements_request(request: pb.ListEntitlementsRequest) -> None:
    found = Violations()
    account_id(request.account_id, found)
    _consistency(request, found)
    found.raise_any()


def watch_request(request: pb.WatchEntitlementsRequest) -> None:
    found = Violations()
    ids = request.account_ids
    found.check("account_ids", len(ids) <= MAX_WATCHED, f"Are more than {MAX_WATCHED}.")
    for index, each in enumerate(ids[:MAX_WATCHED]):
        account_id(each, found, f"account_ids[{index}]")
    found.raise_any()


def _consistency(
    request: pb.CheckEntitlementRequest
    | pb.BatchCheckEntitlementsRequest
    | pb.ListEntitlementsRequest,
    found: Violations,
) -> None:
    if request.HasField("consistency") and not request.consistency.WhichOneof("requirement"):
        found.add("consistency.requirement", "Is required.")


def account_page_request(request: pb.ListSubscriptionsRequest | admin.ListGrantsRequest) -> None:
    found = Violations()
    account_id(request.account_id, found)
    found.check("page_size", request.page_size >= 0, "Must not be negative.")
    found.raise_any()


def longest_wait(remaining: float | None, most: timedelta) -> float:
    """Give how long a call may wait, in seconds: a part of what its deadline leaves."""
    limit = most.total_seconds()
    return limit if remaining is None else max(0.0, min(limit, remaining * 0.8))
