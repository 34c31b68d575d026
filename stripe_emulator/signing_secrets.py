"""The secrets that an endpoint's deliveries are signed with."""

import time
from dataclasses import dataclass, replace

from stripe_emulator import ids
from stripe_emulator.settings import DAY

#: As long as Stripe lets an old secret live on.
LONGEST_OVERLAP = DAY


@dataclass(frozen=True, kw_only=True, slots=True)
class SigningSecret:
    value: str
    #: In real time, as signatures are; None until another takes its place.
    expires: float | None = None


def new() -> str:
    return ids.new("whsec").replace("whsec_", "whsec_emulator", 1)


def valid(secrets: tuple[SigningSecret, ...]) -> tuple[str, ...]:
    now = time.time()
    return tuple(one.value for one in secrets if one.expires is None or now < one.expires)


def rolled(
    secrets: tuple[SigningSecret, ...], value: str, overlap: float
) -> tuple[SigningSecret, ...]:
    """Put a new secret first; those before it sign on beside it for `overlap` seconds."""
    end = time.time() + overlap
    old = (replace(one, expires=end if one.expires is None else one.expires) for one in secrets)
    return (SigningSecret(value=value), *old)
