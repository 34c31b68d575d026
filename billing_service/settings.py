"""What `billing_service` is told by its environment."""

import re
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import NoDecode

from billing_service.access_settings import AccessSettings
from billing_service.budget import CALLS_PER_SECOND
from billing_service.call_log import CHECKS_ONE_IN
from billing_service.caller_settings import CallerLimitSettings
from billing_service.urls import AllowedOrigins
from subscription_state.entitlements import MOST_GRACE_DAYS, Policy
from subscription_state.settings import Listen

_KEY = re.compile(r"(sk|rk)_(test|live)_\w+")
_PUBLISHABLE_KEY = r"^pk_(test|live)_\w+$"
#: How a key of live mode goes on after `sk`, `rk` or `pk`.
_LIVE = "_live_"


def _is_live(key: str) -> bool:
    return key[2:].startswith(_LIVE)


def _key(value: SecretStr) -> SecretStr:
    if not _KEY.fullmatch(value.get_secret_value()):
        message = "must be a secret or restricted key: sk_… or rk_…"
        raise ValueError(message)
    return value


def _origins(value: str) -> str:
    for origin in split(value):
        bare = origin.removesuffix("/").partition("://")[2]
        usable = _may_be_sent_to(origin, livemode=False)
        if not usable or any(character in bare for character in "/?#*"):
            message = "must be origins such as https://app.example.com, comma separated"
            raise ValueError(message)
    return value


def _may_be_sent_to(url: str, *, livemode: bool) -> bool:
    return AllowedOrigins([url], livemode=livemode).allow(url)


def _without_slash(value: str) -> str:
    return value.rstrip("/")


def split(value: str) -> list[str]:
    """Split a list of a setting's: by commas or lines."""
    return [part.strip() for part in value.replace(",", "\n").splitlines() if part.strip()]


class ServiceSettings(CallerLimitSettings, AccessSettings):
    """Settings of the gRPC service."""

    # A variable that is there and empty, as compose files make them, is not there.

    metrics_listen: Listen = Field(
        default="127.0.0.1:9464",
        description="Where `/metrics`, `/healthz` and `/readyz` are served, `HOST:PORT`.",
    )
    stripe_api_key: Annotated[SecretStr, AfterValidator(_key)] = Field(
        description="Stripe's secret or restricted key: `sk_…` or `rk_…`. Its mode decides the "
        "deployment's."
    )
    stripe_publishable_key: str = Field(
        pattern=_PUBLISHABLE_KEY,
        description="Stripe's publishable key, `pk_…`, handed to callers for Stripe.js.",
    )
    stripe_api_base: Annotated[str, AfterValidator(_without_slash)] = Field(
        default="https://api.stripe.com",
        pattern=r"^https?://",
        description="Where Stripe's API is; another address for the emulator.",
    )
    stripe_timeout_seconds: float = Field(
        default=10, gt=0, le=60, description="How long one try of a call to Stripe may take."
    )
    stripe_calls_per_second: int = Field(
        default=CALLS_PER_SECOND,
        ge=1,
        le=1000,
        description="How many calls to Stripe each process begins a second at most. Work that "
        "nobody waits for leaves a fifth of them to calls that somebody waits for.",
    )
    allowed_origins: Annotated[str, AfterValidator(_origins), NoDecode] = Field(
        default="",
        description="Origins that callers' URLs may have, comma or line separated. In test mode "
        "loopback is allowed besides.",
    )
    portal_return_url: str = Field(
        default="", description="Where the portal's way back leads unless a caller says so."
    )
    grace_days: int = Field(
        default=3,
        ge=0,
        le=MOST_GRACE_DAYS,
        description="How many days a late payment is forgiven, from the unpaid invoice's creation. "
        "A product's own number goes before it: `paidup_grace_days` in its metadata at Stripe.",
    )
    pending_payment: Literal["deny", "allow"] = Field(
        default="deny", description="Whether a first bank debit that is on its way entitles."
    )
    cache_accounts: int = Field(
        default=50_000,
        ge=1,
        description="How many accounts each process remembers: those that were asked about last.",
    )
    cache_bound_seconds: float = Field(
        default=5,
        gt=0,
        le=60,
        description="How old what is remembered may be at most. Where the database cannot be "
        "followed for so long, checks are not answered from memory.",
    )
    catalog_interval_seconds: float = Field(
        default=300,
        ge=1,
        description="How often products and their features are read from Stripe.",
    )
    sweep_interval_seconds: float = Field(
        default=300,
        ge=1,
        description="How often Stripe's list of events is searched for those that did not come.",
    )
    event_retention_days: int = Field(
        default=30,
        ge=1,
        le=3650,
        description="How many days the bodies of webhook events are kept. Their ids stay.",
    )
    audit_retention_days: int = Field(
        default=0,
        ge=0,
        le=36500,
        description="How many days entries of the audit are kept; 0 keeps them for ever.",
    )

    log_checks_one_in: int = Field(
        default=CHECKS_ONE_IN,
        ge=1,
        description="Of checks, batches and lists that succeed, how many there are for each that "
        "is logged. Those that fail are all logged, and so is every other call.",
    )

    @property
    def livemode(self) -> bool:
        return _is_live(self.stripe_api_key.get_secret_value())

    @property
    def offers_reflection(self) -> bool:
        return self.reflection if self.reflection is not None else not self.livemode

    @property
    def policy(self) -> Policy:
        return Policy(
            grace=timedelta(days=self.grace_days), pending_entitles=self.pending_payment == "allow"
        )

    @model_validator(mode="after")
    def _keys_agree(self) -> Self:
        if _is_live(self.stripe_publishable_key) != self.livemode:
            message = "PAIDUP_STRIPE_PUBLISHABLE_KEY: is of another mode than PAIDUP_STRIPE_API_KEY"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _live_keys_are_kept_secret(self) -> Self:
        if self.livemode and not self.stripe_api_base.startswith("https://"):
            message = "PAIDUP_STRIPE_API_BASE: a live key goes over https only"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _portal_leads_home(self) -> Self:
        url = self.portal_return_url
        if url and not _may_be_sent_to(url, livemode=self.livemode):
            message = "PAIDUP_PORTAL_RETURN_URL: must be an https URL, in test mode or a loopback's"
            raise ValueError(message)
        return self
