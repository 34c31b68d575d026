from dataclasses import dataclass, replace
from typing import Any, Literal

from stripe_emulator.errors import InvalidRequest

DAY = 24 * 60 * 60

#: The account behind every test key.
ACCOUNT_ID = "acct_1PaidupEmulated0"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What an owner sets in the Dashboard, and what Stripe's documentation leaves open."""

    after_last_retry: Literal["cancel", "unpaid", "past_due"] = "cancel"
    retry_after_days: tuple[int, ...] = (3, 5, 7)
    #: A new payment method settles the open invoice at once, without waiting for a retry.
    retry_on_new_payment_method: bool = True
    #: What the portal writes when it cancels at the period's end.
    portal_cancels_with: Literal["cancel_at", "cancel_at_period_end"] = "cancel_at"
    #: What a first debit that fails leaves of a subscription that began with it. For `active`
    #: its invoice is voided; for `incomplete_expired` it was not active meanwhile either.
    after_failed_first_debit: Literal["active", "past_due", "incomplete_expired"] = "active"
    #: When a debit succeeds or fails that is not one of those that take minutes.
    debit_settles_after_seconds: int = 5


CHOICES = {
    "after_failed_first_debit": ("active", "past_due", "incomplete_expired"),
    "after_last_retry": ("cancel", "unpaid", "past_due"),
    "portal_cancels_with": ("cancel_at", "cancel_at_period_end"),
    "retry_on_new_payment_method": (True, False),
}
LONGEST_RETRY_DAYS = 60
LONGEST_DEBIT = 14 * DAY


def changed(settings: Settings, body: dict[str, Any]) -> Settings:
    """Change the settings that are named; the others stay."""
    for name, value in body.items():
        if not _is_possible(name, value):
            raise InvalidRequest(f"There is no setting `{name}` that takes {value!r}.", param=name)
    if "retry_after_days" in body:
        body = {**body, "retry_after_days": tuple(body["retry_after_days"])}
    return replace(settings, **body)


def _is_possible(name: str, value: object) -> bool:
    if name == "retry_after_days":
        return _is_schedule(value)
    if name == "debit_settles_after_seconds":
        return type(value) is int and 0 <= value <= LONGEST_DEBIT
    return _is_choice(name, value)


def _is_choice(name: str, value: object) -> bool:
    choices = CHOICES.get(name, ())
    return any(type(value) is type(choice) and value == choice for choice in choices)


def _is_schedule(value: object) -> bool:
    return isinstance(value, list) and all(
        type(days) is int and 1 <= days <= LONGEST_RETRY_DAYS for days in value
    )
