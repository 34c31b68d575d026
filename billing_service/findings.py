"""What `doctor` looks at, and what a look says."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import stripe

from billing_service.errors import StripeMisconfigured
from billing_service.stripe_api import LiveStripe
from billing_service.webhook_settings import WebhookSettings
from subscription_state.database import Database

#: So many of a kind are named.
MOST_NAMED = 10


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    #: Works, but somebody should know.
    WARNING = "warning"
    #: Something does not work, or will not when it is needed.
    PROBLEM = "problem"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one look found."""

    level: Level
    #: What is; where all is not well, what to do.
    text: str


def ok(text: str) -> Finding:
    return Finding(level=Level.OK, text=text)


def warning(text: str) -> Finding:
    return Finding(level=Level.WARNING, text=text)


def problem(text: str) -> Finding:
    return Finding(level=Level.PROBLEM, text=text)


@dataclass(frozen=True, kw_only=True, slots=True)
class Patient:
    """What is examined."""

    settings: WebhookSettings
    #: Where Stripe delivers, and where the gateway takes a probe; empty where that is not known.
    webhook_url: str
    gateway_url: str
    database: Database
    stripe: LiveStripe


Look = Callable[[Patient], Awaitable[Finding]]


def named(names: Sequence[str]) -> str:
    """Name the first few, and say that there are more."""
    more = " and more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def worst(findings: Iterable[Finding]) -> Level:
    order = list(Level)
    return max((each.level for each in findings), key=order.index, default=Level.OK)


def is_forbidden(refusal: StripeMisconfigured) -> bool:
    """Tell a key that may not do this from one that Stripe does not know."""
    return isinstance(refusal.__cause__, stripe.PermissionError)
