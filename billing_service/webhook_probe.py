"""A signed event that changes nothing, sent the way that Stripe's come."""

import hashlib
import hmac
import json
import time
from dataclasses import dataclass

import aiohttp

from subscription_state.from_stripe import API_VERSION

#: How long the gateway may take to answer, in seconds.
TIMEOUT = 10.0
#: Of no type that is taken in: the gateway answers and stores nothing.
TYPE = "paidup.probe"
#: What the gateway answers to it.
TAKEN = "ignored"

ADVICE = {
    "signature_mismatch": "it does not know the secret: compare its PAIDUP_WEBHOOK_SECRETS, or the "
    "file, with those of this process",
    "timestamp_too_old": "its clock is more than 300 seconds ahead of this machine's",
    "timestamp_in_the_future": "its clock is more than 300 seconds behind this machine's",
    "not_stored": "it cannot write to the database: see its /readyz",
    "overloaded": "the database does not keep up with it",
    "foreign": "its database belongs to another account or mode than the key",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What came back."""

    #: 0 where nothing did.
    status: int
    #: The gateway's own word for it, or the fault's name.
    told: str

    @property
    def taken(self) -> bool:
        return self.status == 200 and self.told == TAKEN  # noqa: PLR2004 - HTTP's own number

    @property
    def text(self) -> str:
        """Say what is wrong; nothing that came from outside but a short word is in it."""
        if self.status == 0:
            return f"it cannot be reached ({self.told})"
        known = ADVICE.get(self.told)
        return known or f"it answered {self.status} ({self.told}): is the gateway there?"


async def probe(url: str, secret: str, *, livemode: bool, timeout: float = TIMEOUT) -> Answer:  # noqa: ASYNC109 - the session's
    """Send one to the gateway; whatever goes wrong is an answer too."""
    body = _event(livemode=livemode)
    headers = {"Content-Type": "application/json", "Stripe-Signature": _signature(body, secret)}
    limits = aiohttp.ClientTimeout(total=timeout)
    try:
        async with (
            aiohttp.ClientSession(timeout=limits) as session,
            session.post(url, data=body, headers=headers, allow_redirects=False) as response,
        ):
            return Answer(status=response.status, told=_told(await response.content.read(4096)))
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        return Answer(status=0, told=type(error).__name__)


def _event(*, livemode: bool) -> bytes:
    event = {
        "id": "evt_paidup_probe",
        "object": "event",
        "type": TYPE,
        "api_version": API_VERSION,
        "created": int(time.time()),
        "livemode": livemode,
        "data": {"object": {"object": "probe"}},
    }
    return json.dumps(event).encode()


def _signature(body: bytes, secret: str) -> str:
    now = int(time.time())
    digest = hmac.new(secret.encode(), b"%d.%b" % (now, body), hashlib.sha256).hexdigest()
    return f"t={now},v1={digest}"


def _told(body: bytes) -> str:
    try:
        answer = json.loads(body)
        word = answer.get("outcome") or answer["error"]["reason"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return "not the gateway's answer"
    return word if isinstance(word, str) and word.isidentifier() else "not the gateway's answer"
