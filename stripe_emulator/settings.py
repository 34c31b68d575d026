from dataclasses import dataclass
from typing import Literal

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
