"""Who may see a portal session's pages: the browser that opened its address first, for a while."""

import hmac
import secrets
from dataclasses import dataclass

from stripe_emulator.errors import PortalLinkExpired
from stripe_emulator.tables import StripeObject

#: Seconds of simulated time, as commonly observed; Stripe documents no numbers.
UNUSED_FOR = 5 * 60
IDLE_FOR = 60 * 60


@dataclass(kw_only=True, slots=True)
class Visit:
    #: What the visitor's browser keeps as a cookie.
    token: str
    last_seen: int
    #: The session is for one thing, and that has been done.
    flow_done: bool = False


class Visits:
    def __init__(self) -> None:
        self._visits: dict[str, Visit] = {}

    def enter(self, session: StripeObject, token: str, now: int) -> Visit:
        """Let the first browser in, later only that one; PortalLinkExpired for all others."""
        visit = self._visits.get(session["id"])
        if visit is None:
            return self._begin(session, now)
        if now - visit.last_seen > IDLE_FOR or not hmac.compare_digest(
            visit.token.encode(), token.encode()
        ):
            raise PortalLinkExpired
        visit.last_seen = now
        return visit

    def _begin(self, session: StripeObject, now: int) -> Visit:
        if now - session["created"] > UNUSED_FOR:
            raise PortalLinkExpired
        visit = Visit(token=secrets.token_urlsafe(24), last_seen=now)
        self._visits[session["id"]] = visit
        return visit
