"""Webhook endpoints at Stripe: what ours has to be, and what has to be done for it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from billing_service.stripe_api import Json, LiveStripe
from subscription_state.apply import EVENT_TYPES
from subscription_state.from_stripe import API_VERSION

#: In an endpoint's metadata: which secret is its, without telling it.
SECRET_KEY = "paidup_secret"  # noqa: S105 - a name
#: Its value until the secret is where it is kept. Stripe shows a secret only once.
UNSAVED = "unsaved"
EVERYTHING = "*"


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """One endpoint, as Stripe has it."""

    endpoint_id: str
    url: str
    #: None for the account's own version.
    api_version: str | None
    enabled: bool
    events: frozenset[str]
    #: `fingerprint` of its secret, or `UNSAVED`; None where somebody else made it.
    secret: str | None

    @property
    def is_pinned(self) -> bool:
        return self.api_version == API_VERSION

    @property
    def missing(self) -> list[str]:
        """Types of events that we use and it does not send."""
        return [] if EVERYTHING in self.events else sorted(EVENT_TYPES - self.events)

    @property
    def superfluous(self) -> list[str]:
        return sorted(self.events - EVENT_TYPES)


def fingerprint(secret: str) -> str:
    """Tell secrets apart without telling them: each is random and long, so none can be guessed."""
    return hashlib.sha256(secret.encode()).hexdigest()[:16]


async def read_endpoints(stripe: LiveStripe) -> list[Endpoint]:
    """List all of the account's, newest first."""
    listed = await stripe.listed("list_webhook_endpoints", stripe.v1.webhook_endpoints)
    return [from_stripe(each) for each in listed.objects]


def from_stripe(raw: Json) -> Endpoint:
    return Endpoint(
        endpoint_id=raw["id"],
        url=raw["url"],
        api_version=raw.get("api_version"),
        enabled=raw.get("status") == "enabled",
        events=frozenset(raw.get("enabled_events") or ()),
        secret=(raw.get("metadata") or {}).get(SECRET_KEY),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What has to be done so that one endpoint sends what we use to a URL."""

    url: str
    #: None where one has to be created.
    keep: Endpoint | None
    #: What has to change of the kept one.
    mend: Json
    #: Whose secret nobody knows: deleted.
    discard: tuple[Endpoint, ...]
    #: Others at the URL that send: disabled, once the kept or created one works.
    retire: tuple[Endpoint, ...]

    @property
    def changes(self) -> list[str]:
        made = f"create an endpoint of version {API_VERSION} with {len(EVENT_TYPES)} event types"
        mend = f"change {', '.join(self.mend)} of {self.keep.endpoint_id}" if self.keep else made
        return [
            *(f"delete {each.endpoint_id}: its secret was never saved" for each in self.discard),
            *([mend] if self.mend or self.keep is None else []),
            *(f"disable {each.endpoint_id} once the other works" for each in self.retire),
        ]


def plan(endpoints: Sequence[Endpoint], url: str, *, replace: bool) -> Plan:
    """Compare what is there, newest first, with what there has to be.

    Stripe cannot change an endpoint's version, nor tell or roll its secret over the API. So
    another is created beside it where the version is wrong, or where `replace` says so.
    """
    ours = [each for each in endpoints if each.url == url]
    usable = [each for each in ours if each.secret != UNSAVED]
    pinned = sorted((each for each in usable if each.is_pinned), key=lambda each: not each.enabled)
    keep = pinned[0] if pinned and not replace else None
    return Plan(
        url=url,
        keep=keep,
        mend=_mend(keep) if keep else {},
        discard=tuple(each for each in ours if each.secret == UNSAVED),
        retire=tuple(each for each in usable if each.enabled and each is not keep),
    )


def _mend(endpoint: Endpoint) -> Json:
    wrong: Json = {}
    if endpoint.events != EVENT_TYPES:
        wrong["enabled_events"] = sorted(EVENT_TYPES)
    if not endpoint.enabled:
        wrong["disabled"] = False
    return wrong
