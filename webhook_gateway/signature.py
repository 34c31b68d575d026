"""Stripe's signature of a webhook: `t=<seconds>,v1=<HMAC-SHA256 of "t.body" in hex>`.

One `v1` stands there for each secret that is active at Stripe; other schemes
are none of ours.
"""

import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from webhook_gateway.refusals import Reason, Refused

HEADER = "Stripe-Signature"
MAX_HEADER = 4096
MAX_SIGNATURES = 16
#: How far its time may be from ours, in seconds, in either direction.
TOLERANCE = 300

_TIME = re.compile(r"[1-9][0-9]{0,11}")
_V1 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """A signature header, read but not believed."""

    #: Seconds since 1970.
    time: int
    v1: tuple[bytes, ...]


def parse(headers: Sequence[str]) -> Signature:
    """Read the values of the header, of which there must be one."""
    if not any(headers):
        raise Refused(Reason.MISSING_SIGNATURE)
    if len(headers) > 1 or len(headers[0]) > MAX_HEADER:
        raise Refused(Reason.MALFORMED_SIGNATURE)
    pairs = [each.partition("=")[::2] for each in headers[0].split(",")]
    times = [value for key, value in pairs if key == "t"]
    v1 = [value for key, value in pairs if key == "v1"]
    if not (_is_time(times) and _are_signatures(v1)):
        raise Refused(Reason.MALFORMED_SIGNATURE)
    return Signature(time=int(times[0]), v1=tuple(each.encode() for each in v1))


def verify(signature: Signature, body: bytes, secrets: Iterable[bytes]) -> None:
    """Refuse a body that none of the secrets signed."""
    signed = b"%d.%b" % (signature.time, body)
    expected = [hmac.digest(secret, signed, "sha256").hex().encode() for secret in secrets]
    if not any(hmac.compare_digest(ours, v1) for ours in expected for v1 in signature.v1):
        raise Refused(Reason.SIGNATURE_MISMATCH)


def verify_time(signature: Signature, now: datetime) -> None:
    """Refuse a signature that was made too long before now, or after it."""
    age = now.timestamp() - signature.time
    if age > TOLERANCE:
        raise Refused(Reason.TIMESTAMP_TOO_OLD)
    if age < -TOLERANCE:
        raise Refused(Reason.TIMESTAMP_IN_THE_FUTURE)


def _is_time(values: Sequence[str]) -> bool:
    return len(values) == 1 and _TIME.fullmatch(values[0]) is not None


def _are_signatures(values: Sequence[str]) -> bool:
    return 0 < len(values) <= MAX_SIGNATURES and all(_V1.fullmatch(value) for value in values)
